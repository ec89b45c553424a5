// The Gaussian posterior's samples and its KL to the standard normal, as one coarse function. z =
// mean + sigma * noise (Kingma & Welling 2014, section 2.4).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/posterior_scale.h"

namespace elbow::models {

// log q(z|x) - log p(z) of each sample, for importance-weighted bounds; its value is one, its
// gradient is
enum class LogRatio {
  kNone,      // not computed
  kTotal,     // ... the whole one: through z, and through the density's own mean and sigma
  kPathwise,  // ... through z alone (Tucker et al. 2019, "Doubly reparameterized gradient
              // estimators", section 3)
};

struct GaussianLatent {
  at::Tensor z;          // [rows, batch * samples, latent]
  at::Tensor kl;         // [rows, batch, latent], nats, each >= 0
  at::Tensor mean;       // [rows, batch, latent], detached: for statistics
  at::Tensor scale;      // [rows, batch, latent], standard deviation
  at::Tensor log_ratio;  // [rows, batch * samples], nats; undefined where it is not asked for
};

//   head: [rows, batch, 2 latent], means first, then pre-activations of the scale; float32 or
//   float64.   noise: [rows, batch * samples, latent], the samples of an example side by side.
GaussianLatent sample_gaussian(const at::Tensor& head, const at::Tensor& noise,
                               PosteriorScale kind = PosteriorScale::kLogVariance,
                               LogRatio ratio = LogRatio::kNone);

// The same without autograd, and its way back.
struct GaussianPass {
  GaussianLatent latent;
  at::Tensor noise, slope, excess;  // the last two: what the scale's derivatives are made of
  LogRatio ratio;
};
GaussianPass run_gaussian(const at::Tensor& head, const at::Tensor& noise,
                          PosteriorScale kind = PosteriorScale::kLogVariance,
                          LogRatio ratio = LogRatio::kNone);

// Of `latent`'s members; each undefined where it is 0.
struct GaussianGradients {
  at::Tensor z, kl, scale, log_ratio;
};
// head's gradient.
at::Tensor gaussian_backward(const GaussianPass& pass, const GaussianGradients& gradients);

// "log_variance" … as in the settings. Throws std::invalid_argument.
PosteriorScale posterior_scale_named(const std::string& name);

}  // namespace elbow::models
