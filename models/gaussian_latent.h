// The Gaussian posterior's sample and its KL to the standard normal, as one coarse autograd
// function. z = mean + exp(log_variance / 2) * noise (Kingma & Welling 2014, section 2.4).
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

struct GaussianLatent {
  at::Tensor z;      // [rows, batch, latent]
  at::Tensor kl;     // [rows, batch, latent], nats, each >= 0
  at::Tensor mean;   // [rows, batch, latent], detached: for statistics
  at::Tensor scale;  // [rows, batch, latent], standard deviation, detached
};

//   head: [rows, batch, 2 latent], means first, then log-variances; float32 or float64.   noise:
//   [rows, batch, latent].
GaussianLatent sample_gaussian(const at::Tensor& head, const at::Tensor& noise);

}  // namespace elbow::models
