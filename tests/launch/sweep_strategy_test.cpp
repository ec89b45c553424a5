#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "launch/sweep/asha.h"
#include "launch/sweep/median_stopping.h"
#include "launch/sweep/sobol.h"
#include "launch/sweep/strategy.h"
#include "launch/sweep/sweep_config.h"
#include "launch/sweep/warm_starts.h"

namespace elbow::launch::sweep {
namespace {

using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool goes_on(const Strategy& strategy, int64_t trial) {
  return strategy.decide(trial) == Decision::kGoOn;
}

// --- ASHA ----------------------------------------------------------------------------------------

TEST(Asha, OfRowsThatReachARungTogetherOneInThreeGoesOn) {
  Asha asha({.min_epochs = 1, .reduction = 3, .larger_is_better = true});
  for (int64_t trial = 0; trial < 9; ++trial)
    asha.tell(trial, 1, -100.0 + static_cast<double>((trial * 4) % 9));
  int64_t going = 0;
  for (int64_t trial = 0; trial < 9; ++trial) {
    EXPECT_EQ(goes_on(asha, trial), (trial * 4) % 9 >= 6) << trial;
    going += goes_on(asha, trial) ? 1 : 0;
  }
  EXPECT_EQ(going, 3);
  EXPECT_THAT(asha.reason(0), HasSubstr("rank 9 of the 9 trials that have reached epoch 1, of "
                                        "which the best 3"));
}

TEST(Asha, JudgesAtRungsOnlyAndEachRungByItself) {
  Asha asha({.min_epochs = 2, .reduction = 2, .larger_is_better = false});
  for (const int64_t trial : {0, 1}) asha.tell(trial, 1, static_cast<double>(trial));
  EXPECT_TRUE(goes_on(asha, 0) && goes_on(asha, 1));  // before the first rung
  for (const int64_t trial : {0, 1}) asha.tell(trial, 2, static_cast<double>(trial));
  EXPECT_TRUE(goes_on(asha, 0));
  EXPECT_FALSE(goes_on(asha, 1));
  asha.tell(0, 3, 9);  // 3 is no rung
  EXPECT_TRUE(goes_on(asha, 0));
  asha.tell(0, 4, 9);  // first at its rung
  EXPECT_TRUE(goes_on(asha, 0));
  asha.tell(2, 4, 8);
  EXPECT_FALSE(goes_on(asha, 0));
  EXPECT_TRUE(goes_on(asha, 2));
}

TEST(Asha, TiesGoToTheLowerNumber) {
  Asha asha({.min_epochs = 1, .reduction = 2, .larger_is_better = true});
  for (const int64_t trial : {5, 3, 4, 6}) asha.tell(trial, 1, 1.0);
  EXPECT_TRUE(goes_on(asha, 3) && goes_on(asha, 4));
  EXPECT_FALSE(goes_on(asha, 5) || goes_on(asha, 6));
}

TEST(Asha, ARetriedTrialCountsOnceAndIsNotJudgedAgainWhereItPassed) {
  Asha asha({.min_epochs = 1, .reduction = 3, .larger_is_better = true});
  asha.tell(0, 1, 1.0);
  asha.tell(0, 2, 1.0);
  for (const int64_t trial : {1, 2}) asha.tell(trial, 1, 2.0);
  asha.tell(0, 1, 1.0);  // back at a rung where it is the worst by now
  EXPECT_TRUE(goes_on(asha, 0));
  EXPECT_TRUE(goes_on(asha, 1));
  EXPECT_THAT(asha.reason(1), HasSubstr("rank 1 of the 3 "));
}

TEST(Asha, AValueThatIsNotFiniteStopsItsTrialAndCountsNowhere) {
  Asha asha({.min_epochs = 1, .reduction = 2, .larger_is_better = true});
  asha.tell(0, 1, kNaN);
  asha.tell(1, 1, -5);
  EXPECT_FALSE(goes_on(asha, 0));
  EXPECT_TRUE(goes_on(asha, 1));
  EXPECT_THAT(asha.reason(1), HasSubstr("of the 1 trials"));
}

// 64 trials whose values approach what they end with: ASHA must find one that is as good as the
// best within 1 %, with at most 35 % of the epochs, whatever the rows that run side by side.
TEST(Asha, FindsAGoodTrialWithAThirdOfTheEpochs) {
  constexpr int64_t kTrials = 64, kEpochs = 9;
  const auto final_value = [](int64_t trial) { return -100.0 - 60.0 * drawn_share(3, trial, 0); };
  const auto value = [&](int64_t trial, int64_t epoch) {
    return final_value(trial) - 40.0 / static_cast<double>(epoch) * (1 + drawn_share(3, trial, 1));
  };
  double best_of_grid = -1e9;
  for (int64_t t = 0; t < kTrials; ++t) best_of_grid = std::max(best_of_grid, value(t, kEpochs));
  for (const int64_t rows : {1, 4, 16, 64}) {
    Asha asha({.min_epochs = 1, .reduction = 3, .larger_is_better = true});
    std::map<int64_t, int64_t> running;  // trial -> epochs done
    int64_t next = 0, epochs = 0;
    double best = -1e9;
    while (next < kTrials || !running.empty()) {
      while (std::ssize(running) < rows && next < kTrials) running[next++] = 0;
      for (auto& [trial, done] : running) {
        ++done;
        ++epochs;
        asha.tell(trial, done, value(trial, done));
      }
      for (auto it = running.begin(); it != running.end();) {
        const bool complete = it->second == kEpochs;
        if (complete) best = std::max(best, value(it->first, kEpochs));
        it = complete || !goes_on(asha, it->first) ? running.erase(it) : std::next(it);
      }
    }
    EXPECT_LE(epochs, kTrials * kEpochs * 35 / 100) << rows << " rows";
    EXPECT_GE(best, 1.01 * best_of_grid) << rows << " rows";
  }
}

// --- Median --------------------------------------------------------------------------------------

TEST(MedianStopping, StopsWhatIsWorseThanTheMedianOfTheOthersMeans) {
  MedianStopping median({.min_epochs = 2, .startup_trials = 3, .larger_is_better = true});
  // Means up to epoch 2: 2, 3, 10.
  for (const auto& [trial, first, second] :
       std::vector<std::tuple<int64_t, double, double>>{{0, 1, 3}, {1, 2, 4}, {2, 8, 12}}) {
    median.tell(trial, 1, first);
    median.tell(trial, 2, second);
  }
  median.tell(3, 1, 0);
  EXPECT_TRUE(goes_on(median, 3));  // before min_epochs
  median.tell(3, 2, 3);             // its best equals the median
  EXPECT_TRUE(goes_on(median, 3));
  median.tell(3, 2, 2.9);
  EXPECT_FALSE(goes_on(median, 3));
  EXPECT_THAT(median.reason(3), HasSubstr("its best value so far is 2.9, and the median of the "
                                          "others' means up to epoch 2 is 3"));
}

TEST(MedianStopping, ItsBestSoFarCounts) {
  MedianStopping median({.min_epochs = 1, .startup_trials = 2, .larger_is_better = false});
  for (const int64_t trial : {0, 1}) {
    median.tell(trial, 1, 5);
    median.tell(trial, 2, 3);
  }
  median.tell(2, 1, 3.5);
  median.tell(2, 2, 100);  // means are 4; its best is 3.5
  EXPECT_TRUE(goes_on(median, 2));
}

TEST(MedianStopping, WaitsForEnoughOthers) {
  MedianStopping median({.min_epochs = 1, .startup_trials = 2, .larger_is_better = true});
  median.tell(0, 1, 10);
  median.tell(1, 1, 0);
  EXPECT_TRUE(goes_on(median, 1));
  median.tell(2, 1, 11);
  EXPECT_FALSE(goes_on(median, 1));
  EXPECT_TRUE(goes_on(median, 7)) << "nothing was told of it";
}

// --- What holds for all --------------------------------------------------------------------------

TEST(Strategy, IsTheSameWhenALedgerIsToldAgain) {
  for (const char* pruning : {"none", "asha", "median"}) {
    const SweepSettings settings{.pruning = pruning, .startup_trials = 3};
    const auto first = make_strategy(settings);
    LedgerContents contents;
    for (int64_t trial = 0; trial < 12; ++trial)
      contents.apply(TrialStarted{.trial = trial, .values = {}, .seed = 1, .time = {}});
    for (int64_t i = 0; i < 200; ++i) {
      const auto trial = static_cast<int64_t>(12 * drawn_share(1, i, 0));
      const auto epoch = 1 + static_cast<int64_t>(9 * drawn_share(1, i, 1));
      const double value = drawn_share(1, i, 2);
      first->tell(trial, epoch, value);
      contents.apply(EpochReported{trial, epoch, value});
    }
    const auto again = make_strategy(settings);
    tell_all(*again, contents);
    for (int64_t trial = 0; trial < 12; ++trial) {
      EXPECT_EQ(again->decide(trial), first->decide(trial)) << pruning << ", trial " << trial;
      EXPECT_EQ(again->reason(trial), first->reason(trial)) << pruning << ", trial " << trial;
    }
  }
}

TEST(Strategy, WithoutPruningOnlyWhatIsNotFiniteStops) {
  const auto none = make_strategy({});
  none->tell(0, 1, -1e9);
  none->tell(1, 1, kNaN);
  EXPECT_TRUE(goes_on(*none, 0));
  EXPECT_FALSE(goes_on(*none, 1));
}

// A ledger's contents in which these trials have ended so.
LedgerContents contents_of(const SweepConfig& sweep, const std::map<int64_t, TrialState>& states) {
  LedgerContents contents;
  for (const Axis& axis : sweep.space.axes()) contents.head.axes.push_back(range_of(axis));
  for (const auto& [trial, state] : states) {
    contents.apply(TrialStarted{
        .trial = trial, .values = sweep.space.trial(trial).values, .seed = 1, .time = {}});
    if (is_finished(state))
      contents.apply(TrialFinished{.trial = trial, .state = state, .value = -1, .time = {}});
  }
  return contents;
}

TEST(WarmStarts, ComeFromSmallerWeightsOnCoarserGridsOfTheSameFamily) {
  const auto sweep = parse_sweep_text(
      "[sweep]\nmodel.latent = 2, 3\nobjective.kl_wt = 1e-1, 1e-2, 1e-3, 1e-4, 1\nrepeats = 2\n"
      "warm_start = true\n",
      "a.cfg");
  const WarmStarts starts(sweep);
  std::map<int64_t, TrialState> all;
  for (int64_t trial = 0; trial < 20; ++trial) all[trial] = TrialState::kComplete;
  const auto complete = contents_of(sweep, all);
  const auto source = [&](int64_t trial) { return starts.source_of(trial, complete).value_or(-1); };
  // Of latent = 2 and the first seed, in the order of weight: trials 3, 2, 1, 0, 4.
  EXPECT_EQ(source(3), -1);
  EXPECT_EQ(source(2), 3);
  EXPECT_EQ(source(1), 3);
  EXPECT_EQ(source(0), 1);
  EXPECT_EQ(source(4), 3);
  EXPECT_EQ(source(8), -1);  // the smallest weight of the other latent
  EXPECT_EQ(source(17), 18);
}

TEST(WarmStarts, WaitForTheirSourceAndGoFurtherBackWhereItHasNotCompleted) {
  const auto sweep =
      parse_sweep_text("[sweep]\nobjective.kl_wt = 1, 2, 3, 4\nwarm_start = true\n", "a.cfg");
  const WarmStarts starts(sweep);
  EXPECT_TRUE(starts.ready(0, contents_of(sweep, {})));
  EXPECT_FALSE(starts.ready(3, contents_of(sweep, {{2, TrialState::kRunning}})));
  const auto failed = contents_of(sweep, {{0, TrialState::kComplete}, {2, TrialState::kFailed}});
  EXPECT_TRUE(starts.ready(3, failed));
  EXPECT_EQ(starts.source_of(3, failed), 0);
  const auto none = contents_of(sweep, {{0, TrialState::kFailed}, {2, TrialState::kPruned}});
  EXPECT_EQ(starts.source_of(3, none), std::nullopt);
}

TEST(WarmStarts, AreNoneWithoutTheSettingOrWithoutAFamily) {
  const std::string axes = "[sweep]\nmodel.latent = 2, 3\n";
  EXPECT_FALSE(WarmStarts(parse_sweep_text(axes + "objective.kl_wt = 1, 2\n", "a.cfg")).any());
  EXPECT_FALSE(WarmStarts(parse_sweep_text(axes + "warm_start = true\n", "a.cfg")).any());
}

TEST(TrialQueue, GivesEachTrialOfTheShardOnceByShape) {
  TrialQueue queue(12, Shard{.index = 1, .count = 2}, [](int64_t trial) { return trial % 3; });
  LedgerContents contents;
  contents.apply(TrialStarted{.trial = 3, .values = {}, .seed = 1, .time = {}});
  queue.remove_started(contents);  // left: 1 5 7 9 11
  EXPECT_EQ(queue.left(), 5);
  EXPECT_EQ(queue.ask(2), 5);
  EXPECT_EQ(queue.ask_fullest(), 1);  // 1 and 7; of the others one is left each
  EXPECT_EQ(queue.ask(0), 9);
  EXPECT_EQ(queue.ask(0), std::nullopt);
  EXPECT_EQ(queue.ask_fullest(), 7);
  EXPECT_EQ(queue.ask_fullest(), 11);
  EXPECT_EQ(queue.ask_fullest(), std::nullopt);
  EXPECT_EQ(queue.left(17), 0);
}

TEST(TrialQueue, PassesOverTrialsThatMayNotBeginYet) {
  TrialQueue queue(8, Shard{}, [](int64_t trial) { return trial < 5 ? 0 : 1; });
  EXPECT_EQ(queue.ask(0, [](int64_t trial) { return trial == 3; }), 3);
  EXPECT_EQ(queue.ask(0, [](int64_t) { return false; }), std::nullopt);
  EXPECT_EQ(queue.ask_fullest([](int64_t trial) { return trial > 5; }), 6);
  EXPECT_EQ(queue.ask(0), 0);
  EXPECT_EQ(queue.left(), 5);
}

}  // namespace
}  // namespace elbow::launch::sweep
