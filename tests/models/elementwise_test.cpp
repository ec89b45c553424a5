#include "models/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace elbow::models {
namespace {

// Largest error of `ours` against `truth`, in units in the last place of the true value, over [low,
// high].
double worst_ulp(float (*ours)(float), const std::function<double(double)>& truth, float low,
                 float high) {
  double worst = 0;
  const int count = 400000;
  for (int i = 0; i <= count; ++i) {
    const float x = low + (high - low) * static_cast<float>(i) / count;
    const double expected = truth(x);
    const float nearest = std::fabs(static_cast<float>(expected));
    const double ulp = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
    worst = std::fmax(worst, std::fabs(ours(x) - expected) / ulp);
  }
  return worst;
}

TEST(Elementwise, FunctionsAreWithinAFewUlp) {
  EXPECT_LT(
      worst_ulp([](float x) { return exp_of(x); }, [](double x) { return std::exp(x); }, -86, 88),
      3);
  EXPECT_LT(worst_ulp([](float x) { return log_of(x); }, [](double x) { return std::log(x); },
                      1e-6f, 0.9f),
            3);
  EXPECT_LT(worst_ulp([](float x) { return log1p_unit(x); }, [](double x) { return std::log1p(x); },
                      1e-6f, 1),
            3);
  EXPECT_LT(
      worst_ulp([](float x) { return tanh_of(x); }, [](double x) { return std::tanh(x); }, -12, 12),
      3);
  EXPECT_LT(worst_ulp([](float x) { return sigmoid_of(x); },
                      [](double x) { return 1 / (1 + std::exp(-x)); }, -80, 80),
            4);
  EXPECT_LT(worst_ulp([](float x) { return softplus_of(x); },
                      [](double x) { return std::log1p(std::exp(x)); }, -80, 30),
            4);
  EXPECT_LT(worst_ulp([](float x) { return expm1_of(x); }, [](double x) { return std::expm1(x); },
                      -20, 20),
            8);
}

TEST(Elementwise, KeepsNotANumberAndOverflow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(exp_of(nan)));
  EXPECT_TRUE(std::isnan(tanh_of(nan)));
  EXPECT_TRUE(std::isnan(bernoulli(nan, 0.5f).nats));
  EXPECT_TRUE(std::isnan(activate<Activation::kRelu>(nan)));
  EXPECT_TRUE(std::isnan(kl_to_standard_normal(nan, 0.0f)));
  EXPECT_EQ(exp_of(infinity), infinity);
  EXPECT_EQ(exp_of(200.0f), infinity);
  EXPECT_EQ(tanh_of(infinity), 1.0f);
  EXPECT_EQ(tanh_of(-infinity), -1.0f);
}

TEST(Elementwise, BernoulliAgreesWithDoubleOverAllLogits) {
  for (float a = -60; a <= 60; a += 0.037f) {
    for (float x : {0.0f, 0.3f, 1.0f}) {
      const auto ours = bernoulli(a, x);
      const auto truth = bernoulli(static_cast<double>(a), static_cast<double>(x));
      EXPECT_NEAR(ours.nats, truth.nats, 3e-7 * std::fmax(1.0, std::fabs(truth.nats)))
          << a << ' ' << x;
      EXPECT_NEAR(ours.residual, truth.residual, 2e-7) << a << ' ' << x;
    }
  }
}

TEST(Elementwise, KlDoesNotCancelForCollapsedUnits) {
  for (double log_variance : {1e-5, -3e-4, 2e-3}) {
    const double truth = kl_to_standard_normal(0.0, log_variance);
    EXPECT_NEAR(kl_to_standard_normal(0.0f, static_cast<float>(log_variance)), truth,
                0.03 * truth + 1e-12);
  }
  EXPECT_EQ(kl_to_standard_normal(0.0f, 0.0f), 0.0f);
}

TEST(Elementwise, NormalPairsAreStandardNormalAndIndependent) {
  const int count = 1000000;
  double sum = 0, square = 0, fourth = 0, product = 0;
  for (int i = 0; i < count; ++i) {
    const auto block =
        random_block(StreamKey{42, Purpose::kTrainingNoise, 7, static_cast<uint32_t>(i), 0}, 0);
    const auto pair = normal_pair(block.word[0], block.word[1]);
    for (double n : {pair.first, pair.second}) sum += n, square += n * n, fourth += n * n * n * n;
    product += static_cast<double>(pair.first) * pair.second;
  }
  EXPECT_NEAR(sum / (2 * count), 0, 5 / std::sqrt(2.0 * count));
  EXPECT_NEAR(square / (2 * count), 1, 5 * std::sqrt(2.0 / (2 * count)));
  EXPECT_NEAR(fourth / (2 * count), 3, 5 * std::sqrt(96.0 / (2 * count)));
  EXPECT_NEAR(product / count, 0, 5 / std::sqrt(1.0 * count));
}

TEST(Elementwise, NormalPairIsTheBoxMullerTransform) {
  for (uint32_t i = 0; i < 20000; ++i) {
    const auto block = random_block(StreamKey{1, Purpose::kTrainingNoise, 0, i, 0}, 0);
    const double u1 = uniform_open(block.word[0]), u2 = uniform_open(block.word[1]);
    const auto pair = normal_pair(block.word[0], block.word[1]);
    const double radius = std::sqrt(-2 * std::log(u1)), angle = 2 * 3.14159265358979323846 * u2;
    EXPECT_NEAR(pair.first, radius * std::cos(angle), 2e-6);
    EXPECT_NEAR(pair.second, radius * std::sin(angle), 2e-6);
  }
}

}  // namespace
}  // namespace elbow::models
