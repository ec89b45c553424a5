// Objectives: from the terms of each example to the loss that is optimised, on any leaf of the
// global batch.
//
// A leaf returns its contribution, and the contributions of all leaves add up to the row's loss:
// weights are 1 / (true size of the global batch), never of the leaf. Terms that do not depend on
// the data (L2) are added elsewhere, once.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace elbow::models {

// What a model says of each example.
struct ExampleTerms {
  at::Tensor reconstruction;   // [rows, batch], nats
  at::Tensor kl;               // [rows, batch, latent], nats
  at::Tensor posterior_mean;   // [rows, batch, latent], detached
  at::Tensor posterior_scale;  // [rows, batch, latent], detached
};

// One leaf's view of the step. The tensors are float64, small, and on the device of the terms.
struct ObjectiveContext {
  at::Tensor kl_weight;   // [rows], beta times the annealing of this step
  at::Tensor scale;       // [rows], 1, or 1 / observed where the loss is a mean over pixels
  int64_t batch_size;     // true size of the global batch
  at::Tensor statistics;  // [rows, statistics()], sums over the global batch; undefined where there
                          // are none
};

class Objective {
 public:
  virtual ~Objective() = default;

  // How many numbers a row needs, summed over the whole global batch, before any leaf can run
  // backward. 0: none.
  virtual int64_t statistics() const { return 0; }
  // This leaf's summands: [rows, statistics()], float64, detached, on the device of the terms.
  virtual at::Tensor leaf_statistics(const ExampleTerms& terms) const;

  // This leaf's contribution to the loss: [rows]; its derivative is the gradient's.
  virtual at::Tensor leaf_loss(const ExampleTerms& terms,
                               const ObjectiveContext& context) const = 0;
};

// scale * sum_i (reconstruction_i + kl_weight * sum_j kl_ij) / batch_size: the (beta-weighted)
// negative ELBO; Kingma & Welling 2014, equation 10, and Higgins et al. 2017, equation 4.
std::unique_ptr<Objective> make_elbo();

}  // namespace elbow::models
