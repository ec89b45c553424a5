#include "models/posterior_scale.h"

#include <gtest/gtest.h>

#include <cmath>

namespace elbow::models {
namespace {

constexpr auto kLogVariance = PosteriorScale::kLogVariance;
constexpr auto kSoftplus = PosteriorScale::kSoftplus;
constexpr auto kSquared = PosteriorScale::kSoftplusSquared;

TEST(PosteriorScale, TheClampIsTheIdentityToTheLastBitBetweenItsBends) {
  for (float a = -18; a <= 8; a += 0.0137f) {
    const auto term = posterior_term<kLogVariance>(a);
    ASSERT_EQ(term.log_variance, a);
    ASSERT_EQ(term.slope, 1.0f);
    ASSERT_EQ(term.sigma, exp_of(0.5f * a));
  }
}

TEST(PosteriorScale, TheClampStaysInItsRangeAndKeepsASlope) {
  float previous = -20;
  for (float a = -1e4f; a <= 1e4f; a += 7.3f) {
    const auto term = posterior_term<kLogVariance>(a);
    EXPECT_GE(term.log_variance, previous);
    EXPECT_LT(term.log_variance, 10.0f);
    EXPECT_GT(term.slope, 0.0f);
    previous = term.log_variance;
  }
  for (double bend : {kClampBendLow, kClampBendHigh}) {  // no kink
    EXPECT_NEAR(posterior_term<kLogVariance>(bend + 1e-6).slope,
                posterior_term<kLogVariance>(bend - 1e-6).slope, 1e-5);
  }
  EXPECT_TRUE(std::isnan(posterior_term<kLogVariance>(std::nanf("")).sigma));
  EXPECT_TRUE(std::isnan(posterior_term<kLogVariance>(INFINITY).sigma)) << "must not be hidden";
}

TEST(PosteriorScale, SoftplusKeepsItsLogarithmWhereSigmaIsTiny) {
  for (float a = -120; a < 40; a += 0.0871f) {
    const long double e = std::exp(static_cast<long double>(a));
    const auto log_sigma = static_cast<double>(std::log(std::log1p(e)));
    const double slope = static_cast<double>(e / (1 + e) / std::log1p(e));
    const auto term = posterior_term<kSoftplus>(a);
    EXPECT_NEAR(term.log_variance, 2 * log_sigma, 1e-6 * (1 + std::fabs(log_sigma))) << a;
    EXPECT_NEAR(term.slope, 2 * slope, 3e-6 * (1 + slope)) << a;
  }
}

TEST(PosteriorScale, TheSquaredFormsKlIsInfiniteOnceSigmaSquaredUnderflows) {
  EXPECT_EQ(posterior_term<kSquared>(-40.0f).log_variance,
            posterior_term<kSoftplus>(-40.0f).log_variance);
  const auto gone = posterior_term<kSquared>(-60.0f);
  EXPECT_GT(gone.sigma, 0.0f);
  EXPECT_EQ(kl_to_standard_normal(0.0f, gone.log_variance), INFINITY);
  EXPECT_TRUE(
      std::isfinite(kl_to_standard_normal(0.0f, posterior_term<kSoftplus>(-60.0f).log_variance)));
}

}  // namespace
}  // namespace elbow::models
