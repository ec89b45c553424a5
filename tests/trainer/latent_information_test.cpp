#include "trainer/latent_information.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <numeric>

#include "models/noise.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::trainer {
namespace {

using tests::spawn_ranks;

at::Tensor normal(int64_t examples, int64_t latent, uint32_t draw) {
  std::vector<int64_t> numbers(examples);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  const auto out = at::empty({examples, latent});
  models::fill_normal({5, models::Purpose::kSyntheticData, 0, draw}, numbers, out);
  return out;
}

LatentInformation information(const Codes& codes, int size = 1) {
  LatentInformation result;
  std::mutex lock;
  const auto noise = normal(codes.mean.size(0), codes.mean.size(1), 1);
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(size % 2 + 1);
    const auto found = latent_information(codes, noise, ranks, team);
    const std::lock_guard guard(lock);
    result = found;
  });
  return result;
}

TEST(LatentInformation, OfCodesThatNeverOverlapIsItsBound) {
  const auto mean = at::arange(400, at::kFloat).view({400, 1}) * 100;
  const auto found = information({mean, at::full({400, 1}, 0.1f)});
  EXPECT_NEAR(found.mutual_nats, std::log(400.0), 1e-5);
  EXPECT_EQ(found.mutual_bound, std::log(400.0));
  EXPECT_NEAR(found.total_correlation_nats, 0, 1e-5) << "one unit has nothing to be dependent on";
}

TEST(LatentInformation, OfAPosteriorThatIgnoresTheExampleIsZero) {
  const auto found = information({at::zeros({300, 3}), at::ones({300, 3})});
  EXPECT_NEAR(found.mutual_nats, 0, 1e-5);
  EXPECT_NEAR(found.total_correlation_nats, 0, 1e-5);
  EXPECT_NEAR(found.unit_kl_nats, 0, 1e-5);
}

TEST(LatentInformation, IsWhatPlainFloat64SumsSay) {
  const int64_t n = 257, latent = 3;
  const Codes codes{normal(n, latent, 0), (0.2 + 0.1 * normal(n, latent, 2).sin()).contiguous()};
  const auto found = information(codes);
  const auto mean = codes.mean.to(at::kDouble), scale = codes.scale.to(at::kDouble);
  const auto z = (codes.mean + codes.scale * normal(n, latent, 1)).to(at::kDouble);
  // [z, x, unit]
  const auto log_density =
      -0.5 * ((z.unsqueeze(1) - mean) / scale).pow(2) - scale.log() - 0.5 * std::log(2 * M_PI);
  const auto joint = log_density.sum(2);
  const double log_n = std::log(static_cast<double>(n));
  const auto own = joint.diagonal();
  const auto aggregated = joint.logsumexp(1) - log_n;
  const auto units = (log_density.logsumexp(1) - log_n).sum(1);
  const auto prior = (-0.5 * z.pow(2) - 0.5 * std::log(2 * M_PI)).sum(1);
  EXPECT_NEAR(found.mutual_nats, (own - aggregated).mean().item<double>(), 2e-5);
  EXPECT_NEAR(found.total_correlation_nats, (aggregated - units).mean().item<double>(), 2e-5);
  EXPECT_NEAR(found.unit_kl_nats, (units - prior).mean().item<double>(), 2e-5);
}

TEST(LatentInformation, TotalCorrelationSeesUnitsThatRepeatEachOther) {
  const auto once = normal(2000, 1, 0);
  const auto twice = at::cat({once, once}, 1).contiguous();
  const auto apart = normal(2000, 2, 3);
  const auto scale = at::full({2000, 2}, 0.3f);
  EXPECT_GT(information({twice, scale}).total_correlation_nats, 0.8);
  EXPECT_LT(information({apart, scale}).total_correlation_nats, 0.1);
}

TEST(LatentInformation, HasTheSameBitsOnAnyNumberOfRanks) {
  const Codes codes{normal(101, 4, 0), at::full({101, 4}, 0.4f)};
  const auto expected = information(codes);
  for (int size : {2, 3}) {
    const auto found = information(codes, size);
    EXPECT_EQ(found.mutual_nats, expected.mutual_nats);
    EXPECT_EQ(found.total_correlation_nats, expected.total_correlation_nats);
    EXPECT_EQ(found.unit_kl_nats, expected.unit_kl_nats);
  }
}

TEST(LatentInformation, SpendsABoundedNumberOfExponentials) {
  EXPECT_EQ(information_examples(5000, 50), 5000);
  EXPECT_EQ(information_examples(60000, 50), 10000);
  EXPECT_EQ(information_examples(60000, 10000), 1414);
}

}  // namespace
}  // namespace elbow::trainer
