#include "models/schedule.h"

#include <gtest/gtest.h>

namespace elbow::models {
namespace {

TEST(Schedule, EveryAnnealingGrowsFromNothingToOneAndStaysThere) {
  for (const auto shape :
       {AnnealingShape::kLinear, AnnealingShape::kSigmoid, AnnealingShape::kCosine}) {
    const Annealing how{.shape = shape, .steps = 99};
    EXPECT_LT(annealing(how, 0), 0.02);
    for (int64_t step = 1; step < 99; ++step)
      EXPECT_GT(annealing(how, step), annealing(how, step - 1));
    EXPECT_NEAR(annealing(how, 49), 0.5, 1e-9) << "half way";
    EXPECT_EQ(annealing(how, 99), 1);
    EXPECT_EQ(annealing(how, 100000), 1);
  }
}

TEST(Schedule, WithoutStepsTheWeightIsFullAtOnce) {
  for (const auto shape : {AnnealingShape::kLinear, AnnealingShape::kCyclical})
    EXPECT_EQ(annealing({.shape = shape, .steps = 0}, 0), 1);
}

TEST(Schedule, CyclesRiseRestAndStartAnew) {
  const Annealing how{.shape = AnnealingShape::kCyclical, .steps = 399, .cycles = 4, .rise = 0.5};
  for (int64_t cycle = 0; cycle < 4; ++cycle) {
    const int64_t begin = 100 * cycle;
    EXPECT_NEAR(annealing(how, begin + 24), 0.5, 1e-9) << cycle;
    EXPECT_EQ(annealing(how, begin + 60), 1) << cycle;
  }
  EXPECT_LT(annealing(how, 101), 0.1);
  EXPECT_EQ(annealing(how, 399), 1);
  EXPECT_EQ(annealing(how, 500), 1);
}

TEST(Schedule, CapacityGrowsLinearly) {
  const Capacity how{.from = 1, .to = 25, .steps = 1000};
  EXPECT_EQ(capacity_nats(how, 0), 1);
  EXPECT_NEAR(capacity_nats(how, 250), 7, 1e-12);
  EXPECT_EQ(capacity_nats(how, 5000), 25);
  EXPECT_EQ(capacity_nats({.to = 3}, 0), 3);
}

}  // namespace
}  // namespace elbow::models
