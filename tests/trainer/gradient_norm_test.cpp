#include "trainer/gradient_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/forms.h"

namespace elbow::trainer {
namespace {

at::Tensor numbers(int64_t count) {
  at::manual_seed(1);
  return at::randn({count});
}

TEST(GradientNorm, IsTheSameToTheLastBitForAnyNumberOfThreads) {
  for (const int64_t count : {16, 8192, 100003}) {
    const auto values = numbers(count);
    ThreadTeam one(1);
    const double expected = sum_of_squares(values, one);
    EXPECT_NEAR(expected, values.to(at::kDouble).square().sum().item<double>(), 1e-9 * expected);
    for (const int64_t threads : {2, 3, 5}) {
      ThreadTeam team(threads);
      EXPECT_EQ(sum_of_squares(values, team), expected) << threads;
    }
    const models::AtenForms forced;
    EXPECT_NEAR(sum_of_squares(values, one), expected, 1e-12 * expected);
  }
}

TEST(GradientNorm, ScalesDownToTheLimitAndNeverUp) {
  ThreadTeam team(1);
  const auto values = numbers(1000);
  const double norm = values.to(at::kDouble).norm().item<double>();
  EXPECT_NEAR(clipping_scale(values, 2, team) * norm, 2, 1e-9);
  EXPECT_EQ(clipping_scale(values, 2 * norm, team), 1);
  EXPECT_EQ(clipping_scale(values, 0, team), 1) << "no limit";
}

}  // namespace
}  // namespace elbow::trainer
