// What the trainer needs of a network: its parameters' layout and the terms of each example. A
// model owns no tensors, so one object serves any number of threads and rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/elementwise.h"
#include "models/gaussian_latent.h"
#include "models/likelihood.h"
#include "models/objective.h"
#include "models/parameter_layout.h"
#include "models/products.h"

namespace elbow::models {

struct Batch {
  at::Tensor x;      // [rows, batch, observed], contiguous
  at::Tensor noise;  // [rows, batch * samples, latent], standard normal; an example's samples lie
                     // side by side
  LogRatio log_ratio = LogRatio::kNone;  // whether the terms are to have it
};

class Model {
 public:
  virtual ~Model() = default;
  const ParameterLayout& layout() const { return layout_; }
  virtual int64_t observed() const = 0;
  virtual int64_t latent() const = 0;
  virtual Precision precision() const = 0;  // of most products: parameters then come rounded too

  // The parameter that the decoder's output starts from, [rows, n], and the values for it that give
  // the likelihood's parameter at these pixel means, [observed], whatever the latents: [n].
  virtual int output_bias() const = 0;
  virtual at::Tensor output_bias_for(const at::Tensor& pixel_means) const = 0;

  // Recorded for backward where grad mode is on: then `parameters` must have gradients and outlive
  // the backward pass.
  virtual ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const = 0;

 protected:
  ParameterLayout layout_;
};

struct VaeShape {
  int64_t observed;
  std::vector<int64_t> encoder;  // widths of the hidden layers, first to last
  int64_t latent;
  std::vector<int64_t> decoder;  // widths of the hidden layers, from the latent side
  Activation activation;
  PosteriorScale posterior = PosteriorScale::kLogVariance;
  Likelihood likelihood = Likelihood::kBernoulli;
  double sigma = 1;  // of a Gaussian likelihood: the fixed one, or where the learned one starts
  Precision precision = Precision::kFloat32;
};

// Multilayer-perceptron VAE with a Gaussian posterior; Kingma & Welling 2014, appendix C. With
// bfloat16 products the latent head, sampling, KL and likelihood stay in float32.
std::unique_ptr<Model> make_vae(const VaeShape& shape);

}  // namespace elbow::models
