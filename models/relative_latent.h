// A latent whose prior N(mean_p, sigma_p^2) is learned, seen from that prior: u = (z - mean_p) /
// sigma_p has the prior N(0, I), and KL(q(z) || p(z)) and log q(z) - log p(z) are those of u. So
// everything that knows the standard normal prior serves a learned one too.
//
// prior: [rows, batch, 2 latent], means, then pre-activations of the log-variance, softly clamped
// as a posterior's (posterior_scale.h). Coarse autograd functions; float32 or float64.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

// The head of u's posterior, from that of z's. Both hold log-variances: (mean - mean_p) / sigma_p,
// log_variance - log_variance_p.   head: [rows, batch, 2 latent].
at::Tensor relative_to_prior(const at::Tensor& head, const at::Tensor& prior);

// z = mean_p + sigma_p u.   u: [rows, batch * samples, latent], the samples of an example side by
// side.
at::Tensor from_prior(const at::Tensor& u, const at::Tensor& prior);

}  // namespace elbow::models
