#include "trainer/posterior_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbow::trainer {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool keeps_products(int64_t latent) { return latent <= kCovarianceLatents; }

// Variance from sums over n; rounding can make the difference slightly negative.
double variance(double sum, double square_sum, double n) {
  const double mean = sum / n;
  return std::max(square_sum / n - mean * mean, 0.0);
}

// The lower Cholesky factor's diagonal squared has the determinant as its product.
// In place, [n, n]. False where the matrix is not positive definite.
bool factorise(std::vector<double>& a, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double value = a[i * n + j];
      for (size_t k = 0; k < j; ++k) value -= a[i * n + k] * a[j * n + k];
      if (i == j && !(value > 0)) return false;
      a[i * n + j] = i == j ? std::sqrt(value) : value / a[j * n + j];
    }
  }
  return true;
}

// As numpy.quantile does it: linear between the two nearest of the sorted values.
double quantile(const std::vector<double>& sorted, double probability) {
  const double place = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void describe_norms(std::vector<double> norms, PosteriorStatistics& result) {
  const bool finite =
      std::all_of(norms.begin(), norms.end(), [](double norm) { return std::isfinite(norm); });
  if (!finite || norms.empty()) {
    result.mu_norm_quantiles.fill(kNan);
    result.mu_within_1sd = result.mu_within_2sd = result.mu_within_5sd = kNan;
    return;
  }
  std::sort(norms.begin(), norms.end());
  for (size_t i = 0; i < kMeanNormProbabilities.size(); ++i)
    result.mu_norm_quantiles[i] = quantile(norms, kMeanNormProbabilities[i]);
  const auto share_within = [&](double radius) {
    const auto within = std::upper_bound(norms.begin(), norms.end(), radius) - norms.begin();
    return static_cast<double>(within) / static_cast<double>(norms.size());
  };
  result.mu_within_1sd = share_within(1);
  result.mu_within_2sd = share_within(2);
  result.mu_within_5sd = share_within(5);
}

// Of the diagonal alone where the products are not there.
void describe_aggregate(const double* sums, double n, int64_t latent, PosteriorStatistics& result) {
  const double* scale_squares = sums + 3 * latent;
  const auto diagonal = [&](int64_t j) {
    return result.mu_std[j] * result.mu_std[j] + scale_squares[j] / n;
  };
  if (!keeps_products(latent)) {
    for (int64_t j = 0; j < latent; ++j) {
      const double mean = result.mu_mean[j], v = diagonal(j);
      result.aggregate_kl_nats += 0.5 * (mean * mean + v - 1 - std::log(v));
    }
    return;
  }
  auto& covariance = result.aggregate_covariance;
  covariance.resize(latent * latent);
  const double* products = sums + 5 * latent;
  for (int64_t j = 0; j < latent; ++j) {
    covariance[j * latent + j] = diagonal(j);
    for (int64_t i = 0; i < j; ++i) {
      const double value = *products++ / n - result.mu_mean[i] * result.mu_mean[j];
      covariance[i * latent + j] = covariance[j * latent + i] = value;
    }
  }
  result.aggregate_kl_nats = gaussian_kl_to_standard_normal(result.mu_mean, covariance);
}

}  // namespace

int64_t posterior_sums(int64_t latent) {
  return 5 * latent + (keeps_products(latent) ? latent * (latent - 1) / 2 : 0);
}

void sum_posteriors(const float* mean, const float* scale, const float* kl, int64_t examples,
                    int64_t latent, double* sums) {
  std::fill_n(sums, posterior_sums(latent), 0.0);
  const bool products = keeps_products(latent);
  for (int64_t i = 0; i < examples; ++i) {
    const float* m = mean + i * latent;
    const float* s = scale + i * latent;
    const float* k = kl + i * latent;
    for (int64_t j = 0; j < latent; ++j) {
      sums[j] += m[j];
      sums[latent + j] += static_cast<double>(m[j]) * m[j];
      sums[2 * latent + j] += s[j];
      sums[3 * latent + j] += static_cast<double>(s[j]) * s[j];
      sums[4 * latent + j] += k[j];
    }
    if (!products) continue;
    double* out = sums + 5 * latent;
    for (int64_t j = 1; j < latent; ++j) {
      const double right = m[j];
      for (int64_t l = 0; l < j; ++l) out[l] += right * m[l];
      out += j;
    }
  }
}

void mean_norms(const float* mean, int64_t examples, int64_t latent, double* norms) {
  for (int64_t i = 0; i < examples; ++i) {
    double square = 0;
    for (int64_t j = 0; j < latent; ++j) {
      const double value = mean[i * latent + j];
      square += value * value;
    }
    norms[i] = std::sqrt(square);
  }
}

PosteriorStatistics posterior_statistics(const double* sums, int64_t examples, int64_t latent,
                                         std::vector<double> norms) {
  PosteriorStatistics result;
  const auto n = static_cast<double>(examples);
  for (int64_t j = 0; j < latent; ++j) {
    const double var = variance(sums[j], sums[latent + j], n);
    const double kl = sums[4 * latent + j] / n;
    result.mu_mean.push_back(sums[j] / n);
    result.mu_std.push_back(std::sqrt(var));
    result.sigma_mean.push_back(sums[2 * latent + j] / n);
    result.sigma_std.push_back(std::sqrt(variance(sums[2 * latent + j], sums[3 * latent + j], n)));
    result.kl_nats.push_back(kl);
    result.active_units += var > kActiveVariance ? 1 : 0;
    result.active_units_kl += kl > kActiveKlNats ? 1 : 0;
  }
  describe_aggregate(sums, n, latent, result);
  describe_norms(std::move(norms), result);
  return result;
}

double gaussian_kl_to_standard_normal(std::span<const double> mean,
                                      std::span<const double> covariance) {
  const size_t n = mean.size();
  std::vector<double> factor(covariance.begin(), covariance.end());
  if (!factorise(factor, n)) return kNan;
  double kl = 0;
  for (size_t j = 0; j < n; ++j) {
    kl += 0.5 * (mean[j] * mean[j] + covariance[j * n + j] - 1) - std::log(factor[j * n + j]);
  }
  return kl;
}

}  // namespace elbow::trainer
