// Likelihoods p(x | z): how many nats it costs to name an image, given the decoder's output. Each
// is one coarse autograd function that computes the loss and its derivative in one pass.
//
//   output: [rows, batch * samples, observed], the decoder's, the samples of an example side by
//   side;   x: [rows, batch, observed]; float32 or float64, contiguous.
//   Each returns [rows, batch * samples], nats (negative where a density exceeds 1).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/pixel_loss.h"

namespace elbow::models {

enum class Likelihood {
  kBernoulli,
  kContinuousBernoulli,
  kGaussian,         // of one sigma for all pixels: given,
  kGaussianLearned,  // learned as a parameter (its logarithm),
  kGaussianOptimal,  // or the best for the global batch (Rybkin et al. 2021, "Simple and effective
                     // VAE training with calibrated decoders", equation 6)
};

// "bernoulli" … as in the settings. Throws std::invalid_argument.
Likelihood likelihood_named(const std::string& name);

// -sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)], p = sigmoid(output). For grey x in (0, 1) this is
// a cross-entropy, not a likelihood: its floor is the entropy of the data (entropy_floor()).
at::Tensor bernoulli_nats(const at::Tensor& output, const at::Tensor& x);

// The Bernoulli's nats minus sum_d log C(p_d), which makes it a density on [0, 1]: Loaiza-Ganem &
// Cunningham 2019, "The continuous Bernoulli", equation 8. In the logit a: C = a / tanh(a / 2),
// with its series near a = 0, which is p = 1/2.
at::Tensor continuous_bernoulli_nats(const at::Tensor& output, const at::Tensor& x);

// sum_d [(x_d - output_d)^2 / (2 sigma^2) + log sigma + log(2 pi) / 2].
at::Tensor gaussian_nats(const at::Tensor& output, const at::Tensor& x, double sigma);
// The same with log_sigma [rows, 1], a parameter: its gradient is written to its place, [rows, 1],
// where grad mode is on.
at::Tensor gaussian_nats(const at::Tensor& output, const at::Tensor& x, const at::Tensor& log_sigma,
                         const at::Tensor& log_sigma_gradient);

// The sum over an example's pixels, without autograd.
struct PixelNats {
  at::Tensor nats;      // [rows, batch * samples]
  at::Tensor residual;  // as output: their derivative; undefined where it was not asked for
};
// scale: [rows, batch * samples], contiguous, what the residual is multiplied by; undefined: 1.
PixelNats run_pixel_loss(const at::Tensor& output, const at::Tensor& x, PixelLoss kind,
                         bool with_residual, const at::Tensor& scale);

// sum_d (x_d - output_d)^2 / 2, from which nats follow once sigma is known.
at::Tensor half_squared_error(const at::Tensor& output, const at::Tensor& x);
// Those nats, for `observed` pixels.
at::Tensor gaussian_nats_of(const at::Tensor& half_squares, const at::Tensor& log_sigma,
                            int64_t observed);

// The decoder's output for these means: themselves for a Gaussian, else their logit, cut to [0.001,
// 0.999] (Burda et al. 2016's first bias).
at::Tensor output_for_mean(Likelihood likelihood, const at::Tensor& means);

// E[x | z] from the decoder's output, of any shape: the sigmoid for a Bernoulli; for the continuous
// one, whose density is proportional to exp(a x) on [0, 1], 1 / (1 - exp(-a)) - 1 / a; the output
// itself for a Gaussian.
at::Tensor mean_of_output(Likelihood likelihood, const at::Tensor& output);

}  // namespace elbow::models
