// What the trainer needs of a network: its parameters' layout and the terms of each example. A
// model owns no tensors, so one object serves any number of threads and rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
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

// In a conditional model x is what is to be explained, and the condition c is given.
struct Batch {
  at::Tensor x;      // [rows, batch, observed], contiguous
  at::Tensor noise;  // [rows, batch * samples, latent], standard normal; an example's samples lie
                     // side by side
  LogRatio log_ratio = LogRatio::kNone;  // whether the terms are to have it
  at::Tensor condition{};                // [rows, batch, conditions], contiguous; undefined: none
};

// q(z | x, c) of each example.
struct Posterior {
  at::Tensor mean;   // [rows, batch, latent]
  at::Tensor scale;  // the same, standard deviations
};

// Where a model learns its prior p(z | c) = N(mean_p, sigma_p^2), the latent u that all of this
// interface and the statistics speak of is relative to it: z = mean_p + sigma_p u, so that u's
// prior is always N(0, I), and the KL and the importance weights are those of z.
class Model {
 public:
  virtual ~Model() = default;
  const ParameterLayout& layout() const { return layout_; }
  virtual int64_t observed() const = 0;
  virtual int64_t latent() const = 0;               // 0: a regressor
  virtual int64_t conditions() const { return 0; }  // numbers of c; 0: none
  virtual Precision precision() const = 0;  // of most products: parameters then come rounded too

  // The parameter that the decoder's output starts from, [rows, n], and the values for it that give
  // the likelihood's parameter at these pixel means, of whole examples, whatever the latents: [n].
  // Where a convolution gives the output, n is the colours, and their means count.
  virtual int output_bias() const = 0;
  virtual at::Tensor output_bias_for(const at::Tensor& pixel_means) const = 0;

  // Recorded for backward where grad mode is on: then `parameters` must have gradients and outlive
  // the backward pass.
  virtual ExampleTerms terms(const BoundParameters& parameters, const Batch& batch) const = 0;

  // terms(), and the gradients of that loss of theirs, without autograd: the same bits, sooner.
  // Calls written_from(column) each time that the gradients from this column of the layout to its
  // end are written, if it is given; the last time with 0. Only where knows_gradient().
  using WrittenFrom = std::function<void(int64_t column)>;
  virtual bool knows_gradient() const { return false; }
  virtual ExampleTerms differentiate(const BoundParameters& parameters, const Batch& batch,
                                     const LinearLoss& loss,
                                     const WrittenFrom& written_from = {}) const;

  // The two halves of terms(), for what is measured and drawn after training; never recorded.
  // x: [rows, batch, observed], z: [rows, batch * samples, latent], the samples of an example side
  // by side, condition: [rows, batch, conditions].
  virtual Posterior encode(const BoundParameters& parameters, const at::Tensor& x,
                           const at::Tensor& condition) const = 0;
  // E[x | z, c]: [rows, batch * samples, observed].
  virtual at::Tensor decode(const BoundParameters& parameters, const at::Tensor& z,
                            const at::Tensor& condition) const = 0;
  // -log p(x | z, c) in nats: [rows, batch * samples]. c10::Error where the likelihood's sigma is
  // pooled over a batch.
  virtual at::Tensor reconstruction_nats(const BoundParameters& parameters, const at::Tensor& z,
                                         const at::Tensor& x,
                                         const at::Tensor& condition) const = 0;

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

// How the condition meets encoder and decoder. Either way it has layers of its own first, `path`.
enum class Join {
  kConcatenate,  // the path's last layer (c itself where there is none) stands beside the input of
                 // the first dense layer of each
  kAdd,          // pre-activations are added: of the path's layer `encoder_layer` to that of the
                 // encoder's layer of the same number, and of the path's last one to that of the
  // decoder's first (Doersch 2016, "Tutorial on variational autoencoders", section 4)
};

struct ConditionShape {
  int64_t width;                // numbers of c
  std::vector<int64_t> path{};  // widths of its hidden layers
  Join join = Join::kConcatenate;
  int64_t encoder_layer = 1;  // kAdd: counted from 1
  bool into_encoder = true;   // else q(z | x)
  bool learned_prior = false;
  std::vector<int64_t> prior{};  // widths of hidden layers between the path and the prior
  // Where c is a part of a picture, the places of its numbers and of x's in the picture; else
  // empty.
  std::vector<int64_t> given{};
  std::vector<int64_t> target{};
  int64_t picture = 0;  // numbers of the whole
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
  std::optional<ImageShape> image{};          // without it, a multilayer perceptron
  std::optional<ConditionShape> condition{};  // p(x | z, c) and q(z | x, c)
  bool mostly_zeros = false;  // the data; what a dense layer multiplies them with skips zeros then
};

// VAE with a Gaussian posterior; Kingma & Welling 2014, appendix C. With
// bfloat16 products the latent head, sampling, KL and likelihood stay in float32.
// With a condition: the conditional VAE of Sohn et al. 2015, "Learning structured output
// representation using deep conditional generative models", equation 4.
// std::invalid_argument, with a sentence for the user, where a join does not fit.
std::unique_ptr<Model> make_vae(const VaeShape& shape);

// p(x | c) without latents: the conditional model's path and decoder, the decoder's first layer
// reading the path alone. The baseline of a conditional VAE. `encoder` and `latent` do not count.
std::unique_ptr<Model> make_regressor(const VaeShape& shape);

// q(z | c), p(x | z): the encoder sees the condition alone and the decoder z alone, so that what is
// known of c goes through z. No conditional VAE; cvae.py of sergeybok/variational-ae-tensorflow.
std::unique_ptr<Model> make_bottleneck(const VaeShape& shape);

}  // namespace elbow::models
