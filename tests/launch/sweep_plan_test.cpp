// What `elbow sweep --dry-run` expects of a sweep.
#include <gmock/gmock.h>

#include "launch/dry_run.h"

namespace elbow::launch {
namespace {

sweep::SweepConfig six_trials() {
  return sweep::parse_sweep_text(
      "[sweep]\nobjective.kl_wt = 1e-3, 1e-2, 1e-1\nmodel.latent = 2, 3\n", "test");
}

TEST(SweepPlan, PacksTrialsOfOneShapeTogether) {
  const auto plan = plan_sweep(six_trials(), sweep::Shard{}, /*groups=*/2, /*ranks_per_group=*/1,
                               /*rows_per_pack=*/2);
  ASSERT_EQ(plan.shapes.size(), 2);
  for (const auto& shape : plan.shapes) {
    EXPECT_EQ(shape.trials, 3);
    EXPECT_EQ(shape.packs, 2);
  }
}

TEST(SweepPlan, CountsTheTrialsOfItsShardAlone) {
  const sweep::Shard second{.index = 1, .count = 4};  // trials 1 and 5
  const auto plan = plan_sweep(six_trials(), second, 1, 1, 1);
  int64_t trials = 0;
  for (const auto& shape : plan.shapes) trials += shape.trials;
  EXPECT_EQ(trials, 2);
}

TEST(SweepPlan, LastsAsLongAsItsBusiestGroup) {
  SweepPlan plan{.groups = 2, .shapes = {{.packs = 1, .pack_s = 10}, {.packs = 3, .pack_s = 4}}};
  EXPECT_EQ(seconds_of(plan), 12);
  plan.groups = 1;
  EXPECT_EQ(seconds_of(plan), 22);
  plan.groups = 9;
  EXPECT_EQ(seconds_of(plan), 10);
}

}  // namespace
}  // namespace elbow::launch
