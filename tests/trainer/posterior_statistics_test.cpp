#include "trainer/posterior_statistics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace elbow::trainer {
namespace {

constexpr double kTiny = 1e-12;

struct Sample {
  at::Tensor mean, scale, kl;  // float32 [examples, latent]
};

Sample some(int64_t examples, int64_t latent) {
  const auto grid = at::arange(examples * latent, at::kDouble).view({examples, latent});
  const auto mean = (grid * 0.7).sin() + 0.4 * (grid * 0.13).cos().pow(3);
  const auto scale = 0.3 + 0.2 * (grid * 1.1).sin();
  const auto kl = 0.5 * (mean.pow(2) + scale.pow(2) - 1) - scale.log();
  return {mean.to(at::kFloat), scale.to(at::kFloat), kl.to(at::kFloat)};
}

PosteriorStatistics statistics_of(const Sample& sample) {
  const int64_t examples = sample.mean.size(0), latent = sample.mean.size(1);
  std::vector<double> sums(posterior_sums(latent)), norms(examples);
  sum_posteriors(sample.mean.const_data_ptr<float>(), sample.scale.const_data_ptr<float>(),
                 sample.kl.const_data_ptr<float>(), examples, latent, sums.data());
  mean_norms(sample.mean.const_data_ptr<float>(), examples, latent, norms.data());
  return posterior_statistics(sums.data(), examples, latent, norms);
}

void expect_equal(const std::vector<double>& values, const at::Tensor& expected) {
  ASSERT_EQ(static_cast<int64_t>(values.size()), expected.numel());
  const auto flat = expected.flatten();
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i], flat[static_cast<int64_t>(i)].item<double>(), kTiny) << i;
}

TEST(PosteriorStatistics, AreThoseOfAllExamplesAtOnce) {
  const auto sample = some(500, 4);
  const auto found = statistics_of(sample);
  const auto mean = sample.mean.to(at::kDouble), scale = sample.scale.to(at::kDouble);
  expect_equal(found.mu_mean, mean.mean(0));
  expect_equal(found.mu_std, mean.std(0, /*unbiased=*/false));
  expect_equal(found.sigma_mean, scale.mean(0));
  expect_equal(found.sigma_std, scale.std(0, /*unbiased=*/false));
  expect_equal(found.kl_nats, sample.kl.to(at::kDouble).mean(0));
  const auto centred = mean - mean.mean(0);
  const auto covariance = centred.t().matmul(centred) / 500 + scale.pow(2).mean(0).diag();
  expect_equal(found.aggregate_covariance, covariance);
  const double expected =
      0.5 *
      (mean.mean(0).pow(2).sum() + covariance.trace() - 4 - covariance.logdet()).item<double>();
  EXPECT_NEAR(found.aggregate_kl_nats, expected, 1e-10);
}

TEST(PosteriorStatistics, CountUnitsThatAreActive) {
  auto sample = some(100, 3);
  sample.mean.select(1, 1).mul_(0.01);
  sample.kl.select(1, 2).fill_(0.009f);
  const auto found = statistics_of(sample);
  EXPECT_EQ(found.active_units, 2);
  EXPECT_EQ(found.active_units_kl, 2);
}

TEST(PosteriorStatistics, QuantilesAndSharesAreThoseOfTheNorms) {
  // |mu| = 0, 0.1, …, 10 in the direction (3, 4) / 5.
  const auto lengths = at::arange(101, at::kFloat) / 10;
  Sample sample = some(101, 2);
  sample.mean = at::stack({0.6f * lengths, 0.8f * lengths}, 1).contiguous();
  const auto found = statistics_of(sample);
  const std::array<double, 7> expected = {0, 0.5, 2.5, 5, 7.5, 9.5, 10};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.mu_norm_quantiles[i], expected[i], 1e-6);
  EXPECT_NEAR(found.mu_within_1sd, 11 / 101.0, 1.1 / 101);  // |mu| = 1 itself may be rounded away
  EXPECT_NEAR(found.mu_within_2sd, 21 / 101.0, 1.1 / 101);
  EXPECT_NEAR(found.mu_within_5sd, 51 / 101.0, 1.1 / 101);
}

TEST(PosteriorStatistics, ManyUnitsHaveNoCovarianceAndTheKlOfItsDiagonal) {
  const int64_t latent = kCovarianceLatents + 1;
  const auto sample = some(64, latent);
  const auto found = statistics_of(sample);
  EXPECT_TRUE(found.aggregate_covariance.empty());
  EXPECT_EQ(posterior_sums(latent), 5 * latent);
  const auto mean = sample.mean.to(at::kDouble);
  const auto v = mean.var(0, /*unbiased=*/false) + sample.scale.to(at::kDouble).pow(2).mean(0);
  EXPECT_NEAR(found.aggregate_kl_nats,
              0.5 * (mean.mean(0).pow(2) + v - 1 - v.log()).sum().item<double>(), 1e-9);
}

TEST(PosteriorStatistics, OfNumbersThatAreNotFiniteAreNotFinite) {
  auto sample = some(10, 2);
  sample.mean[3][1] = std::nanf("");
  const auto found = statistics_of(sample);
  EXPECT_TRUE(std::isnan(found.mu_norm_quantiles[3]));
  EXPECT_TRUE(std::isnan(found.mu_std[1]));
  EXPECT_TRUE(std::isnan(found.aggregate_kl_nats));
  EXPECT_FALSE(std::isnan(found.mu_std[0]));
}

TEST(GaussianKl, IsZeroForThePriorAndNanWithoutAVolume) {
  const std::vector<double> zero = {0, 0}, identity = {1, 0, 0, 1}, flat = {1, 1, 1, 1};
  EXPECT_EQ(gaussian_kl_to_standard_normal(zero, identity), 0);
  EXPECT_TRUE(std::isnan(gaussian_kl_to_standard_normal(zero, flat)));
  const std::vector<double> mean = {1, -2}, covariance = {2, 0.5, 0.5, 1};
  EXPECT_NEAR(gaussian_kl_to_standard_normal(mean, covariance), 0.5 * (5 + 3 - 2 - std::log(1.75)),
              kTiny);
}

}  // namespace
}  // namespace elbow::trainer
