// What the posteriors q(z | x) = N(mu, sigma^2) of a split look like together: sums that are added
// leaf by leaf, and the numbers that people read off them. Pure; knows nothing of ranks, files or
// models.
//
// With mu, sigma [examples, latent]: the aggregated posterior q(z) = 1/N sum_i N(mu_i, sigma_i^2)
// has the mean E[mu] and the covariance Cov(mu) + diag(E[sigma^2]) (law of total variance).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace elbow::trainer {

// Above so many latent units no covariance is kept: a leaf would add up latent^2 / 2 products.
inline constexpr int64_t kCovarianceLatents = 256;
inline constexpr double kActiveVariance = 0.01;  // of mu over examples: Burda et al. 2016, 4.1
inline constexpr double kActiveKlNats = 0.01;
inline constexpr std::array kMeanNormProbabilities = {0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0};

// Numbers that a leaf adds up: of mu, mu^2, sigma, sigma^2 and KL for each latent unit, then the
// products mu_i mu_j, i < j.
int64_t posterior_sums(int64_t latent);

// Writes a leaf's sums to `sums`, added in the order of its examples.
//   mean, scale, kl: [examples, latent], contiguous.
void sum_posteriors(const float* mean, const float* scale, const float* kl, int64_t examples,
                    int64_t latent, double* sums);

// norms[i] = |mu_i|, in float64.
void mean_norms(const float* mean, int64_t examples, int64_t latent, double* norms);

// Vectors have one number a latent unit; standard deviations are over examples (divided by N).
struct PosteriorStatistics {
  std::vector<double> mu_mean, mu_std, sigma_mean, sigma_std, kl_nats;
  int64_t active_units = 0;                  // var(mu) > 0.01
  int64_t active_units_kl = 0;               // KL > 0.01 nats
  std::vector<double> aggregate_covariance;  // [latent, latent]; empty above kCovarianceLatents
  double aggregate_kl_nats = 0;  // KL(N(mean, covariance) || N(0, I)) of the aggregated posterior;
                                 // without covariance of its diagonal, which is a lower bound
  std::array<double, kMeanNormProbabilities.size()> mu_norm_quantiles{};  // of |mu|, interpolated
  // Share of examples whose |mu| is at most 1, 2, 5: within so many standard deviations of the
  // prior's mean.
  double mu_within_1sd = 0, mu_within_2sd = 0, mu_within_5sd = 0;
};

// sums: of all examples. norms: |mu| of all examples, any order.
PosteriorStatistics posterior_statistics(const double* sums, int64_t examples, int64_t latent,
                                         std::vector<double> norms);

// KL(N(mean, covariance) || N(0, I)) in nats; NaN where the covariance is not positive definite.
double gaussian_kl_to_standard_normal(std::span<const double> mean,
                                      std::span<const double> covariance);

}  // namespace elbow::trainer
