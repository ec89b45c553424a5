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

TEST(Schedule, ARateFollowsItsStagesAndKeepsTheLast) {
  const RateSchedule how{.shape = RateShape::kStages, .stages = {{1, 1e-3}, {3, 7e-4}, {9, 5e-4}}};
  const auto rate_in = [&](int64_t epoch) { return learning_rate(1, how, epoch, 10 * epoch); };
  EXPECT_EQ(rate_in(0), 1e-3);
  EXPECT_EQ(rate_in(1), 7e-4);
  EXPECT_EQ(rate_in(3), 7e-4);
  EXPECT_EQ(rate_in(4), 5e-4);
  EXPECT_EQ(rate_in(500), 5e-4);
}

TEST(Schedule, ARateFallsAtItsMilestones) {
  const RateSchedule how{.shape = RateShape::kMilestones, .milestones = {2, 5}, .factor = 0.1};
  EXPECT_EQ(learning_rate(1, how, 1, 0), 1);
  EXPECT_NEAR(learning_rate(1, how, 2, 0), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate(1, how, 7, 0), 0.01, 1e-15);
}

TEST(Schedule, ARateWarmsUpAndFallsAlongACosine) {
  const RateSchedule how{
      .shape = RateShape::kCosine, .end = 0.2, .total_steps = 110, .warmup_steps = 10};
  EXPECT_NEAR(learning_rate(1, how, 0, 0), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate(1, how, 0, 9), 1, 1e-15);
  EXPECT_NEAR(learning_rate(1, how, 0, 60), 0.6, 1e-12) << "half way";
  EXPECT_NEAR(learning_rate(1, how, 0, 110), 0.2, 1e-12);
  EXPECT_NEAR(learning_rate(1, how, 0, 400), 0.2, 1e-12);
}

}  // namespace
}  // namespace elbow::models
