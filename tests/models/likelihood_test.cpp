// Each likelihood against its formula, integrals and limits.
#include "models/likelihood.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/pixel_loss.h"

namespace elbow::models {
namespace {

// -log density of one pixel.
double nats(const at::Tensor& of_one) { return of_one.item<double>(); }
at::Tensor pixel(double value) { return at::full({1, 1, 1}, value, at::kDouble); }

// Integral over x in [from, to] of exp(-nats).
template <class Nats>
double mass(const Nats& of, double from, double to) {
  const int steps = 4000;
  double sum = 0;
  for (int i = 0; i < steps; ++i)
    sum += std::exp(-of(from + (to - from) * (i + 0.5) / steps)) * (to - from) / steps;
  return sum;
}

TEST(Likelihood, TheContinuousBernoulliIsADensityForEveryLogit) {
  for (double a : {-30.0, -4.0, -0.31, -0.29, -1e-3, 0.0, 1e-9, 0.2, 0.31, 2.0, 12.0}) {
    const auto of = [&](double x) { return nats(continuous_bernoulli_nats(pixel(a), pixel(x))); };
    EXPECT_NEAR(mass(of, 0, 1), 1, 1e-4) << a;
  }
  const auto grey_bernoulli = [](double x) { return nats(bernoulli_nats(pixel(2), pixel(x))); };
  EXPECT_LT(mass(grey_bernoulli, 0, 1), 0.6) << "which is why the other one exists";
}

TEST(Likelihood, TheContinuousBernoullisSeriesMeetsItsFormula) {
  for (float a = -1; a <= 1; a += 0.0009f) {
    const double exact = a == 0 ? std::log(2.0) : std::log(a / std::tanh(0.5 * a));
    const double slope = std::fabs(a) < 1e-4 ? a / 6 : 1.0 / a - 1.0 / std::sinh(double(a));
    const auto term = log_normaliser(a);
    EXPECT_NEAR(term.nats, exact, 3e-7) << a;
    EXPECT_NEAR(term.residual, slope, 1e-6) << a;
    EXPECT_NEAR(log_normaliser(double(a)).nats, exact, 1e-9) << a;
  }
  EXPECT_TRUE(std::isfinite(log_normaliser(5e4f).nats));
  EXPECT_TRUE(std::isnan(pixel_term<PixelLoss::kContinuousBernoulli>(std::nanf(""), 0.5f).nats));
}

TEST(Likelihood, TheGaussianIsADensityForEverySigma) {
  for (double sigma : {0.05, 0.4, 3.0}) {
    const auto fixed = [&](double x) { return nats(gaussian_nats(pixel(0.3), pixel(x), sigma)); };
    EXPECT_NEAR(mass(fixed, 0.3 - 12 * sigma, 0.3 + 12 * sigma), 1, 1e-6);
    const auto log_sigma = at::full({1, 1}, std::log(sigma), at::kDouble);
    at::NoGradGuard no_gradient;
    EXPECT_NEAR(nats(gaussian_nats(pixel(0.3), pixel(0.9), log_sigma, {})), fixed(0.9), 1e-12);
  }
}

TEST(Likelihood, SamplesOfAnExampleAreComparedWithTheSameImage) {
  at::manual_seed(1);
  const auto x = at::rand({2, 3, 5}), output = at::randn({2, 12, 5});
  for (auto* of : {bernoulli_nats, continuous_bernoulli_nats, half_squared_error}) {
    const auto together = of(output, x);
    const auto apart = of(output, x.repeat_interleave(4, 1).contiguous());
    EXPECT_TRUE(at::equal(together, apart));
  }
}

TEST(Likelihood, TheMeanOfTheContinuousBernoulliIsItsIntegral) {
  for (const double a : {-30.0, -3.0, -0.31, -0.29, -1e-3, 0.0, 0.2, 0.299, 0.301, 2.0, 50.0}) {
    const auto x = (at::arange(100000, at::kDouble) + 0.5) / 100000;  // midpoints
    const auto weight = (a * (x - (a > 0 ? 1 : 0))).exp();
    const double expected = ((x * weight).sum() / weight.sum()).item<double>();
    const auto mean =
        mean_of_output(Likelihood::kContinuousBernoulli, at::full({1}, a, at::kDouble));
    EXPECT_NEAR(mean.item<double>(), expected, 1e-6) << a;
  }
  const auto a = at::full({1}, 0.7);
  EXPECT_TRUE(at::equal(mean_of_output(Likelihood::kBernoulli, a), a.sigmoid()));
  EXPECT_TRUE(at::equal(mean_of_output(Likelihood::kGaussianLearned, a), a));
}

}  // namespace
}  // namespace elbow::models
