#include "trainer/checkpoint_rules.h"

#include <gtest/gtest.h>

namespace elbow::trainer {
namespace {

using Steps = std::vector<int64_t>;

TEST(SaveIsDue, AtTheEndOfEverySoManyEpochs) {
  const CheckpointSettings settings{.every_epochs = 2, .keep_best = false};
  EXPECT_FALSE(save_is_due(settings, {.step = 10, .ended_epoch = 1}));
  EXPECT_TRUE(save_is_due(settings, {.step = 20, .ended_epoch = 2}));
  EXPECT_FALSE(save_is_due(settings, {.step = 20}));
}

TEST(SaveIsDue, AtEveryNewBestThatIsToBeKept) {
  CheckpointSettings settings{.every_epochs = 2};
  EXPECT_TRUE(save_is_due(settings, {.step = 10, .ended_epoch = 1, .new_best = true}));
  settings.keep_best = false;
  EXPECT_FALSE(save_is_due(settings, {.step = 10, .ended_epoch = 1, .new_best = true}));
}

TEST(SaveIsDue, NeverAtAnEpochsEndWithZeroEpochs) {
  const CheckpointSettings settings{.every_epochs = 0};
  EXPECT_FALSE(save_is_due(settings, {.step = 10, .ended_epoch = 1, .new_best = true}));
}

TEST(SaveIsDue, AfterStepsAndAfterMinutes) {
  EXPECT_TRUE(save_is_due({.every_steps = 5}, {.step = 15}));
  EXPECT_FALSE(save_is_due({.every_steps = 5}, {.step = 16}));
  EXPECT_TRUE(save_is_due({.every_minutes = 1.5}, {.step = 16, .minutes_since_last = 1.5}));
  EXPECT_FALSE(save_is_due({.every_minutes = 1.5}, {.step = 16, .minutes_since_last = 1.4}));
}

TEST(StepsToRemove, AreAllButTheLast) {
  EXPECT_EQ(steps_to_remove({.keep_last = 2}, {10, 20, 30, 40}, 10, std::nullopt), (Steps{10, 20}));
  EXPECT_EQ(steps_to_remove({.keep_last = 2}, {10, 20}, 10, std::nullopt), Steps{});
  EXPECT_EQ(steps_to_remove({.keep_last = 2}, {}, 10, std::nullopt), Steps{});
}

TEST(StepsToRemove, SpareTheBestWhereItIsToBeKept) {
  EXPECT_EQ(steps_to_remove({.keep_last = 1, .keep_best = true}, {10, 20, 30}, 10, 10),
            (Steps{20}));
  EXPECT_EQ(steps_to_remove({.keep_last = 1, .keep_best = false}, {10, 20, 30}, 10, 10),
            (Steps{10, 20}));
}

TEST(StepsToRemove, SpareTheEndsOfEverySoManyEpochs) {
  EXPECT_EQ(
      steps_to_remove({.keep_last = 1, .keep_every = 2}, {5, 10, 20, 25, 40, 45}, 10, std::nullopt),
      (Steps{5, 10, 25}));
}

}  // namespace
}  // namespace elbow::trainer
