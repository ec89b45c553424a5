// What the trainer needs of a network: its parameters' layout and the terms of each example. A
// model owns no tensors, so one object serves any number of threads and rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
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

// q(z | x) of each example.
struct Posterior {
  at::Tensor mean;   // [rows, batch, latent]
  at::Tensor scale;  // the same, standard deviations
};

class Model {
 public:
  virtual ~Model() = default;
  const ParameterLayout& layout() const { return layout_; }
  virtual int64_t observed() const = 0;
  virtual int64_t latent() const = 0;
  virtual Precision precision() const = 0;  // of most products: parameters then come rounded too

  // The parameter that the decoder's output starts from, [rows, n], and the values for it that give
  // the likelihood's parameter at these pixel means, [observed], whatever the latents: [n]. Where a
  // convolution gives the output, n is the colours, and their means count.
  virtual int output_bias() const = 0;
  virtual at::Tensor output_bias_for(const at::Tensor& pixel_means) const = 0;

  // Recorded for backward where grad mode is on: then `parameters` must have gradients and outlive
  // the backward pass.
  virtual ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const = 0;

  // The two halves of terms(), for what is measured and drawn after training; never recorded.
  // x: [rows, batch, observed], z: [rows, batch, latent].
  virtual Posterior encode(const BoundParameters& parameters, const at::Tensor& x) const = 0;
  // E[x | z]: [rows, batch, observed].
  virtual at::Tensor decode(const BoundParameters& parameters, const at::Tensor& z) const = 0;
  // -log p(x | z) in nats, of z [rows, batch * samples, latent], the samples of an example side by
  // side: [rows, batch * samples]. c10::Error where the likelihood's sigma is pooled over a batch.
  virtual at::Tensor reconstruction_nats(const BoundParameters& parameters, const at::Tensor& z,
                                         const at::Tensor& x) const = 0;

 protected:
  ParameterLayout layout_;
};

// Convolutions around the dense layers: stride 2 from the image inwards, mirrored outwards, and at
// the end one of stride 1 that gives the output, with an odd kernel.
struct ImageShape {
  int64_t height, width;
  int64_t colours;               // of a pixel; they lie side by side in an example
  std::vector<int64_t> filters;  // channels of the convolutions, from the image inwards
  int64_t kernel;                // side of all kernels
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
  std::optional<ImageShape> image{};  // without it, a multilayer perceptron
};

// VAE with a Gaussian posterior; Kingma & Welling 2014, appendix C. With
// bfloat16 products the latent head, sampling, KL and likelihood stay in float32.
std::unique_ptr<Model> make_vae(const VaeShape& shape);

}  // namespace elbow::models
