#include "trainer/importance_nll.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <numeric>

#include "models/mkl.h"
#include "models/noise.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::trainer {
namespace {

using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

TEST(LogWeights, AddUpInLogarithms) {
  LogWeights weights;
  for (const double w : {1.0, 4.0, 2.0, 1.0}) weights.add(std::log(w));
  EXPECT_NEAR(weights.log_mean(), std::log(2.0), 1e-15);
  EXPECT_NEAR(weights.effective_samples(), 64.0 / 22.0, 1e-13);
  EXPECT_EQ(weights.count(), 4);
}

TEST(LogWeights, NeitherOverflowNorVanish) {
  LogWeights weights;
  weights.add(-std::numeric_limits<double>::infinity());
  EXPECT_EQ(weights.log_mean(), -std::numeric_limits<double>::infinity());
  for (const double log_weight : {-2000.0, 3000.0, 3000.0, -5000.0}) weights.add(log_weight);
  EXPECT_NEAR(weights.log_mean(), 3000 + std::log(2.0 / 5), 1e-12);
  EXPECT_NEAR(weights.effective_samples(), 2, 1e-12);
  weights.add(std::nan(""));
  EXPECT_TRUE(std::isnan(weights.log_mean()));
}

constexpr int64_t kObserved = 5, kLatent = 2;
constexpr double kSigma = 0.4;

// x = z W + noise of sigma, z ~ N(0, I), so x ~ N(0, W' W + sigma^2 I). The encoder is right about
// the mean of z and knows nothing of the correlation of its units.
class LinearGaussian : public models::Model {
 public:
  LinearGaussian() {
    layout_.add({.shape = {1}, .is_weight = false, .fan_in = 1});  // unused; tells the device
    weight_ = at::tensor({1.0, -0.5, 0.3, 0.8, 0.0, 0.2, 0.9, -0.7, 0.1, 0.5}, at::kDouble)
                  .view({kLatent, kObserved});
    const auto precision =
        weight_.matmul(weight_.t()) / (kSigma * kSigma) + at::eye(kLatent, at::kDouble);
    const auto covariance = precision.inverse();
    gain_ = weight_.t().matmul(covariance) / (kSigma * kSigma);
    scale_ = 1.2 * covariance.diagonal().sqrt();
  }
  int64_t observed() const override { return kObserved; }
  int64_t latent() const override { return kLatent; }
  models::Precision precision() const override { return models::Precision::kFloat32; }
  int output_bias() const override { return 0; }
  at::Tensor output_bias_for(const at::Tensor& means) const override { return means; }
  models::ExampleTerms terms(const models::BoundParameters&, const models::Batch&) const override {
    return {};
  }
  models::Posterior encode(const models::BoundParameters&, const at::Tensor& x,
                           const at::Tensor&) const override {
    const auto mean = x.matmul(gain_.to(at::kFloat));
    return {mean, scale_.to(at::kFloat).expand_as(mean)};
  }
  at::Tensor decode(const models::BoundParameters&, const at::Tensor& z,
                    const at::Tensor&) const override {
    return z.matmul(weight_.to(at::kFloat));
  }
  at::Tensor reconstruction_nats(const models::BoundParameters& parameters, const at::Tensor& z,
                                 const at::Tensor& x, const at::Tensor&) const override {
    const double constant = kObserved * 0.5 * std::log(2 * M_PI * kSigma * kSigma);
    return (x - decode(parameters, z, {})).pow(2).sum(2) / (2 * kSigma * kSigma) + constant;
  }

  // log p(x), float64 [examples].
  at::Tensor log_likelihood(const at::Tensor& x) const {
    const auto covariance =
        weight_.t().matmul(weight_) + kSigma * kSigma * at::eye(kObserved, at::kDouble);
    const auto squares = (x.matmul(covariance.inverse()) * x).sum(1);
    return -0.5 * (squares + covariance.logdet() + kObserved * std::log(2 * M_PI));
  }
  at::Tensor drawn(int64_t examples) const {
    std::vector<int64_t> numbers(examples);
    std::iota(numbers.begin(), numbers.end(), int64_t{0});
    const auto normal = at::empty({examples, kLatent + kObserved});
    models::fill_normal({77, models::Purpose::kSyntheticData, 0}, numbers, normal);
    return normal.narrow(1, 0, kLatent).matmul(weight_.to(at::kFloat)) +
           kSigma * normal.narrow(1, kLatent, kObserved);
  }

 private:
  at::Tensor weight_, gain_, scale_;
};

ImportanceNll estimate(const LinearGaussian& model, const Split& split, int64_t examples,
                       int64_t samples, comm::Communicator& ranks, int64_t threads) {
  ThreadTeam team(threads);
  const auto objective = models::make_elbo();
  const EvaluationParts parts{.model = model,
                              .data = split,
                              .split = SplitId::kTest,
                              .request = {},
                              .objective = *objective,
                              .scale = 1};
  return importance_nll(parts, Row{.seed = 9}, at::zeros({1, 16}), examples, samples, ranks, team);
}

TEST(ImportanceNll, IsWithinThreeStandardErrorsOfTheTrueLikelihood) {
  const LinearGaussian model;
  const Split split{.name = "test", .images = model.drawn(200).contiguous()};
  const auto truth = model.log_likelihood(split.images.to(at::kDouble));
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    for (const int64_t samples : {500, 5000}) {
      const auto found = estimate(model, split, 200, samples, ranks, 2);
      const auto difference = found.values.select(1, 0) - truth;
      // Of one example: the relative variance of its mean weight, 1 / ESS - 1 / K.
      const auto variance =
          found.values.select(1, 1).reciprocal() - 1.0 / static_cast<double>(samples);
      const double error = std::sqrt(variance.sum().item<double>()) / 200;
      EXPECT_LT(std::abs(difference.mean().item<double>()), 3 * error) << samples << " samples";
      EXPECT_LT(error, 0.3 / std::sqrt(static_cast<double>(samples)));
      EXPECT_NEAR(found.nll_nats, -found.values.select(1, 0).mean().item<double>(), 1e-12);
      EXPECT_NEAR(found.standard_error,
                  found.values.select(1, 0).std().item<double>() / std::sqrt(200.0), 1e-12);
      EXPECT_GT(found.effective_samples, 0.3 * static_cast<double>(samples));
      EXPECT_LE(found.effective_samples, static_cast<double>(samples));
    }
  });
}

TEST(ImportanceNll, HasTheSameBitsOnAnyNumberOfRanksAndThreads) {
  const LinearGaussian model;
  const Split split{.name = "test", .images = model.drawn(10).contiguous()};
  at::Tensor expected;
  std::mutex lock;
  for (int size : {1, 2, 3}) {
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      const auto found = estimate(model, split, 7, 300, ranks, size % 2 + 1);
      const std::lock_guard guard(lock);
      if (!expected.defined()) expected = found.values;
      EXPECT_EQ(found.values.size(0), 7);
      EXPECT_TRUE(at::equal(found.values, expected)) << size << " ranks";
    });
  }
}

TEST(ImportanceNll, OneSampleIsAnElboOfItsOwnNoise) {
  const LinearGaussian model;
  const Split split{.name = "test", .images = model.drawn(300).contiguous()};
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    const auto one = estimate(model, split, 300, 1, ranks, 1);
    const auto many = estimate(model, split, 300, 200, ranks, 1);
    EXPECT_GT(one.nll_nats, many.nll_nats) << "the bound grows tighter with K";
    EXPECT_EQ(one.effective_samples, 1);
  });
}

}  // namespace
}  // namespace elbow::trainer
