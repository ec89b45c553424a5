// Objectives: from the terms of each example to the loss that is optimised, on any leaf of the
// global batch.
//
// A leaf returns its contribution, and the contributions of all leaves add up to the row's loss:
// weights are 1 / (true size of the global batch), never of the leaf. Terms that do not depend on
// the data (L2) are added elsewhere, once.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "models/gaussian_latent.h"

namespace elbow::models {

// What a model says of each example.
struct ExampleTerms {
  at::Tensor reconstruction;   // [rows, batch * samples], nats; half squared errors where the
                               // likelihood's sigma is pooled over the batch, until settled()
  at::Tensor kl;               // [rows, batch, latent], nats
  at::Tensor posterior_mean;   // [rows, batch, latent], detached
  at::Tensor posterior_scale;  // [rows, batch, latent]
  at::Tensor log_ratio{};  // [rows, batch * samples]: log q(z|x) - log p(z), where it was asked for
  at::Tensor z{};          // [rows, batch * samples, latent]
};

// One leaf's view of the step. The tensors are float64, small, and on the device of the terms.
struct ObjectiveContext {
  at::Tensor kl_weight;   // [rows], beta times the annealing of this step
  at::Tensor scale;       // [rows], 1, or 1 / observed where the loss is a mean over pixels
  int64_t batch_size;     // true size of the global batch
  at::Tensor statistics;  // [rows, statistics()], sums over the global batch; undefined where there
                          // are none
  at::Tensor capacity{};  // [rows], nats; where the objective has one
  at::Tensor free_bits{};     // [rows], nats a group; where the objective has them
  at::Tensor sigma_weight{};  // [rows], of sum_j (1 - sigma_j)^4; undefined: 0
};

// The same for one row, as numbers.
struct LossWeights {
  double kl_weight = 1;
  double scale = 1;
  double capacity = 0;
  double free_bits = 0;
  double sigma_weight = 0;
};

// Sums over a split, from which its loss follows.
struct SplitSums {
  double examples;
  double reconstruction;  // as in ExampleTerms, the mean over an example's samples
  double kl;
  const double* own;  // split_sums() numbers, added over leaf_split_sums()
};

// reconstruction[k] * sum_i reconstruction[k, i] + kl[k] * sum_ij kl[k, i, j], for row k.
struct LinearLoss {
  at::Tensor reconstruction, kl;                   // [rows], or [1] for all of them; float64
  at::Tensor of(const ExampleTerms& terms) const;  // [rows], float64
};

// A tensor like `values`, with one number a row.   number_of_row: [rows], or [1] for all of them;
// float64.
at::Tensor filled_rows(const at::Tensor& values, const at::Tensor& number_of_row);

class Objective {
 public:
  virtual ~Objective() = default;

  // What the terms must hold: so many samples an example, and the log ratio of each.
  virtual int64_t samples() const { return 1; }
  virtual LogRatio log_ratio() const { return LogRatio::kNone; }

  // How many numbers a row needs, summed over the whole global batch, before any leaf can run
  // backward. 0: none.
  virtual int64_t statistics() const { return 0; }
  // This leaf's summands: [rows, statistics()], float64, detached, on the device of the terms.
  virtual at::Tensor leaf_statistics(const ExampleTerms& terms) const;
  // The terms with `reconstruction` in nats, once the statistics are known.
  virtual ExampleTerms settled(const ExampleTerms& terms, const ObjectiveContext& context) const;

  // This leaf's contribution to the loss: [rows]; its derivative is the gradient's. Takes settled
  // terms.
  virtual at::Tensor leaf_loss(const ExampleTerms& terms,
                               const ObjectiveContext& context) const = 0;

  // Whether that is the same weighted sum for any leaf, and which: then a network may know its own
  // gradient (model.h).
  virtual bool is_linear() const { return false; }
  virtual LinearLoss linear_loss(const ObjectiveContext& context) const;

  // The loss of a whole split in one pass over it: a leaf's summands [rows, split_sums()], float64,
  // of terms as the model gives them, and what follows from their sums.
  virtual int64_t split_sums() const { return 0; }
  virtual at::Tensor leaf_split_sums(const ExampleTerms& terms,
                                     const ObjectiveContext& context) const;
  virtual double split_loss(const SplitSums& sums, const LossWeights& weights) const;
  virtual double split_reconstruction(const SplitSums& sums) const { return sums.reconstruction; }
};

// scale * sum_i (reconstruction_i + kl_weight * sum_j kl_ij) / batch_size: the (beta-weighted)
// negative ELBO; Kingma & Welling 2014, equation 10, and Higgins et al. 2017, equation 4. The
// reconstruction is the mean over an example's samples.
std::unique_ptr<Objective> make_elbo();

enum class Bound {
  kElbo,
  kIwae,  // log mean_s w_s over an example's own samples, w = p(x, z) / q(z | x); Burda et al.
          // 2016, equation 8
  kDreg,  // the same with the encoder's gradient of Tucker et al. 2019, equation 8
};

enum class KlForm {
  kPlain,
  kBatchCapacity,    // |mean_i KL_i - C|
  kExampleCapacity,  // mean_i |KL_i - C| (Burgess et al. 2018, equation 8, for each example)
  kFreeBits,  // sum_g max(lambda, mean_i KL_ig) over groups g of latents (Kingma et al. 2016,
              // "Improving variational inference with inverse autoregressive flow", eq. 15)
};

// What the rows of a pack share. Means are over the global batch.
struct ObjectiveShape {
  Bound bound = Bound::kElbo;
  int64_t samples = 1;
  KlForm kl = KlForm::kPlain;  // anything else needs the ELBO
  int64_t latent = 1;
  int64_t groups = 1;          // free bits: equal runs of latents; `latent` of them: each alone
  int64_t pooled_pixels = 0;   // of an example, where the likelihood's sigma is the best for the
                               // batch (needs the ELBO); 0 elsewhere
  bool sigma_penalty = false;  // whether any row has a sigma_weight
};

std::unique_ptr<Objective> make_objective(const ObjectiveShape& shape);

}  // namespace elbow::models
