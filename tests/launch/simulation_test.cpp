// The real coordinator in virtual time, with groups that die, lag and break trials: no trial is
// lost, none is trained twice, and the groups are busy.
#include "launch/simulation/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace elbow::launch::simulation {
namespace {

sweep::SweepConfig sweep_of(int64_t trials, const std::string& more = "") {
  return sweep::parse_sweep_text(
      fmt::format("[train]\nepochs = 9\n[sweep]\nsearch = random\ntrials = {}\n"
                  "objective.kl_wt = loguniform(1e-4, 1e-1)\n{}",
                  trials, more),
      "a.cfg");
}

SimulationResult simulated(const sweep::SweepConfig& sweep, const SimulationSettings& settings) {
  const tests::TemporaryDirectory folder;
  return simulate(sweep, settings, folder.path() / "ledger.jsonl");
}

void expect_each_trial_ended_once(const SimulationResult& result) {
  EXPECT_FALSE(result.stuck);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.complete + result.pruned + result.failed, result.trials);
  EXPECT_EQ(result.completed_twice, 0);
  EXPECT_EQ(result.trained_at_once, 0);
  EXPECT_GE(result.makespan_s, result.lower_bound_s);
}

TEST(Simulation, NoTrialIsLostOrTrainedTwiceWhateverDies) {
  const auto sweep = sweep_of(300);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto result = simulated(sweep, {.groups = 30,
                                          .rows = 1 + static_cast<int64_t>(seed % 4),
                                          .seed = seed,
                                          .stragglers = 0.2,
                                          .deaths = 0.7,
                                          .breaking = 0.02,
                                          .diverging = 0.05});
    expect_each_trial_ended_once(result);
    EXPECT_GT(result.complete, 200);
    EXPECT_GT(result.failed, 0);
  }
}

TEST(Simulation, ManyGroupsAreBusyUntilTheQueueIsEmpty) {
  const auto result = simulated(sweep_of(3000), {.groups = 300});
  expect_each_trial_ended_once(result);
  EXPECT_GT(result.utilisation, 0.95);
  EXPECT_LT(result.coordinator_s, 0.1 * result.makespan_s);
}

TEST(Simulation, AGroupAloneHasTheMakespanOfItsWork) {
  const auto result = simulated(
      sweep_of(5), {.groups = 1, .jitter = 0, .stragglers = 0, .breaking = 0, .diverging = 0});
  expect_each_trial_ended_once(result);
  EXPECT_NEAR(result.lower_bound_s, 5 * 9 * 1.2, 1e-6);
  EXPECT_LT(result.makespan_s, 1.03 * result.lower_bound_s);
}

TEST(Simulation, PrunedTrialsMakeRoomAtOnce) {
  const auto result =
      simulated(sweep_of(1000, "pruning = asha\nmin_epochs = 1\nreduction = 3\n"), {.groups = 100});
  expect_each_trial_ended_once(result);
  EXPECT_GT(result.pruned, 500);
  EXPECT_GT(result.utilisation, 0.95);
}

TEST(Simulation, ACoordinatorThatTakesOverLosesNothing) {
  const auto sweep = sweep_of(200);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    expect_each_trial_ended_once(
        simulated(sweep, {.groups = 20,
                          .rows = 1 + static_cast<int64_t>(seed % 3),
                          .seed = seed,
                          .deaths = 0.2,
                          .breaking = 0.02,
                          .takeovers = 1 + static_cast<int64_t>(seed % 6)}));
  }
}

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  const auto sweep = sweep_of(200);
  const SimulationSettings settings{.groups = 20, .deaths = 0.3};
  const auto first = simulated(sweep, settings), second = simulated(sweep, settings);
  EXPECT_EQ(first.makespan_s, second.makespan_s);
  EXPECT_EQ(first.letters, second.letters);
  EXPECT_EQ(first.utilisation, second.utilisation);
}

}  // namespace
}  // namespace elbow::launch::simulation
