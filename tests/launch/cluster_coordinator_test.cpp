// The coordinator hands out each trial until it has ended once, whatever happens to groups; the
// groups here are made up.
#include <gmock/gmock.h>

#include <map>

#include "launch/cluster/coordinator.h"
#include "tests/support/temporary_directory.h"

namespace elbow::launch::cluster {
namespace {

using sweep::TrialState;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Answers = std::vector<std::pair<int64_t, Orders>>;

constexpr const char* kSixTrials =
    "[sweep]\nobjective.kl_wt = 1, 2, 3, 4, 5, 6\nretries = 1\n[train]\nepochs = 2\n";

class Sweep {
 public:
  explicit Sweep(const std::string& text, int64_t groups = 2)
      : config_(sweep::parse_sweep_text(text, "a.cfg")),
        ledger_(sweep::Ledger::create(folder_.path() / "ledger.jsonl", head())) {
    restart(groups);
  }

  // What a launch after a crash sees.
  void restart(int64_t groups) {
    coordinate(std::vector<std::string>(static_cast<size_t>(groups), "host"), Beginning::kLaunch);
    running_.clear();
  }
  void restart(const std::vector<std::string>& hosts) { coordinate(hosts, Beginning::kLaunch); }
  // What a successor within the launch sees: groups that train.
  void take_over(int64_t groups) {
    coordinate(std::vector<std::string>(static_cast<size_t>(groups), "host"), Beginning::kTakeover);
  }

  // A group of `rows` places reports its news, and what it has besides as running.
  Answers report(int64_t group, const std::vector<RowNews>& news, int64_t rows = 2,
                 int64_t batch = 0) {
    auto& running = running_[group];
    for (const auto& one : news)
      if (one.end != RowEnd::kNone) std::erase(running, one.trial);
    return heard(coordinator_->answer({{.group = group,
                                        .number = ++number_,
                                        .rows = rows,
                                        .batch = batch,
                                        .running = running,
                                        .news = news}},
                                      {}));
  }
  Answers let_go(int64_t group) { return heard(coordinator_->let_go(group, {})); }
  Answers lose(int64_t group) { return heard(coordinator_->lose(group, {})); }

  // The trials that a group was told to begin; empty where it was told nothing.
  static std::vector<int64_t> begun(const Answers& answers, int64_t group) {
    std::vector<int64_t> trials;
    for (const auto& [to, orders] : answers)
      if (to == group)
        for (const auto& start : orders.begin) trials.push_back(start.trial);
    return trials;
  }
  static bool sent_away(const Answers& answers, int64_t group) {
    return std::ranges::any_of(
        answers, [&](const auto& answer) { return answer.first == group && answer.second.leave; });
  }

  TrialState state(int64_t trial) const { return ledger_->contents().find(trial)->state; }
  Coordinator& coordinator() { return *coordinator_; }
  const sweep::LedgerContents& contents() const { return ledger_->contents(); }

 private:
  sweep::StudyHead head() const {
    sweep::StudyHead head{.name = "test", .metric = "elbo_nats"};
    for (const auto& axis : config_.space.axes()) head.axes.push_back(range_of(axis));
    return head;
  }
  void coordinate(std::vector<std::string> hosts, Beginning beginning) {
    coordinator_.reset();
    ledger_.emplace(sweep::Ledger::open(folder_.path() / "ledger.jsonl"));
    coordinator_.emplace(config_, *ledger_, sweep::Shard{}, std::move(hosts), beginning);
  }
  Answers heard(Answers answers) {
    for (const auto& [group, orders] : answers)
      for (const auto& start : orders.begin) running_[group].push_back(start.trial);
    return answers;
  }

  tests::TemporaryDirectory folder_;
  sweep::SweepConfig config_;
  std::optional<sweep::Ledger> ledger_;
  std::optional<Coordinator> coordinator_;
  std::map<int64_t, std::vector<int64_t>> running_;
  int64_t number_ = 0;
};

RowNews epoch(int64_t trial, int64_t epoch, double value) {
  return {.trial = trial, .epoch = epoch, .value = value};
}
RowNews ended(int64_t trial, RowEnd end, const std::string& error = "") {
  return {.trial = trial,
          .epoch = end == RowEnd::kBroken ? 0 : 2,
          .value = -100.0,
          .end = end,
          .error = error};
}

TEST(Coordinator, APlaceIsTakenByTheNextTrialWhileItsNeighbourGoesOn) {
  Sweep sweep(kSixTrials, 1);
  EXPECT_THAT(Sweep::begun(sweep.report(0, {}), 0), ElementsAre(0, 1));
  EXPECT_EQ(sweep.state(1), TrialState::kRunning);
  EXPECT_THAT(Sweep::begun(sweep.report(0, {ended(0, RowEnd::kComplete), epoch(1, 1, -120)}), 0),
              ElementsAre(2));
  EXPECT_EQ(sweep.state(0), TrialState::kComplete);
  EXPECT_EQ(sweep.contents().find(1)->by_epoch.at(1), -120);
}

TEST(Coordinator, AGroupWithoutWorkWaitsUntilTheSweepIsOver) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {}, /*rows=*/6);
  EXPECT_THAT(sweep.report(1, {}), IsEmpty());
  std::vector<RowNews> all;
  for (int64_t trial = 0; trial < 6; ++trial) all.push_back(ended(trial, RowEnd::kComplete));
  const auto answers = sweep.report(0, all, 6);
  EXPECT_TRUE(Sweep::sent_away(answers, 0));
  EXPECT_TRUE(Sweep::sent_away(answers, 1));
  EXPECT_TRUE(sweep.coordinator().everybody_left());
  EXPECT_EQ(sweep.coordinator().exit_code(), 0);
}

TEST(Coordinator, ALostGroupsTrialsGoToAGroupThatWaits) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {}, /*rows=*/6);
  EXPECT_THAT(sweep.report(1, {}), IsEmpty());
  EXPECT_THAT(Sweep::begun(sweep.lose(0), 1), ElementsAre(0, 1));
  EXPECT_THAT(Sweep::begun(sweep.report(1, {ended(0, RowEnd::kComplete)}), 1), ElementsAre(2));
}

TEST(Coordinator, WhatSurvivorsOfAGroupDoNotHaveAnyMoreIsHandedOutAgain) {
  Sweep sweep(kSixTrials, 1);
  sweep.report(0, {});
  const auto answers = sweep.coordinator().answer(
      {{.group = 0, .number = 1, .rows = 2, .lost = {"rank 1 on host"}}}, {});
  EXPECT_THAT(Sweep::begun(answers, 0), UnorderedElementsAre(0, 1));
  EXPECT_EQ(sweep.state(0), TrialState::kRunning);
}

TEST(Coordinator, ABrokenTrialIsTriedAgainOnAnotherGroupAndFailsWhenItsRetriesAreUsedUp) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {}, /*rows=*/1);
  sweep.report(1, {}, /*rows=*/1);
  EXPECT_THAT(Sweep::begun(sweep.report(0, {ended(0, RowEnd::kBroken, "full disk")}, 1), 0),
              ElementsAre(2));
  EXPECT_EQ(sweep.state(0), TrialState::kRunning);
  EXPECT_THAT(Sweep::begun(sweep.report(1, {ended(1, RowEnd::kComplete)}, 1), 1), ElementsAre(0));
  sweep.report(1, {ended(0, RowEnd::kBroken, "full disk")}, 1);
  EXPECT_EQ(sweep.state(0), TrialState::kFailed);
  EXPECT_EQ(sweep.contents().find(0)->text_attribute("error"), "full disk");
}

TEST(Coordinator, AGroupWhereTrialAfterTrialBreaksIsSetAsideAndNamed) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {}, 1);
  sweep.report(1, {}, 1);
  for (const int64_t trial : {0, 2, 3}) sweep.report(0, {ended(trial, RowEnd::kBroken, "no")}, 1);
  const auto notes = sweep.coordinator().take_notes();
  EXPECT_THAT(notes, testing::Contains(testing::HasSubstr("group 0 on host is set aside")));
  EXPECT_THAT(sweep.report(0, {}, 1), IsEmpty());
}

TEST(Coordinator, ATrialInMidEpochComesToAPackThatIsThere) {
  Sweep sweep(kSixTrials, 1);
  sweep.report(0, {});
  EXPECT_THAT(
      Sweep::begun(sweep.report(0, {{.trial = 0, .end = RowEnd::kDeclined, .batch = 7}}), 0),
      ElementsAre(2));
  EXPECT_THAT(
      Sweep::begun(sweep.report(0, {ended(1, RowEnd::kComplete), ended(2, RowEnd::kComplete)}), 0),
      ElementsAre(0));
}

TEST(Coordinator, AfterACrashWhatWasRunningComesFirstAndWhatWasFinishedNeverAgain) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {});
  sweep.report(0, {ended(0, RowEnd::kComplete), epoch(1, 1, -120)});
  sweep.restart(3);
  EXPECT_THAT(Sweep::begun(sweep.report(2, {}, 6), 2), ElementsAre(1, 2, 3, 4, 5));
}

TEST(Coordinator, APrunedTrialsPlaceIsTakenInTheSameOrders) {
  Sweep sweep(
      "[sweep]\nobjective.kl_wt = 1, 2, 3, 4, 5, 6\npruning = asha\nmin_epochs = 1\n"
      "reduction = 3\n[train]\nepochs = 9\n",
      1);
  sweep.report(0, {}, /*rows=*/3);
  const auto answers =
      sweep.report(0, {epoch(0, 1, -100), epoch(1, 1, -200), epoch(2, 1, -300)}, 3);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_THAT(answers[0].second.stop, UnorderedElementsAre(1, 2));
  EXPECT_THAT(Sweep::begun(answers, 0), ElementsAre(3, 4));
  sweep.report(0, {ended(1, RowEnd::kPruned), ended(2, RowEnd::kPruned)}, 3);
  EXPECT_EQ(sweep.state(1), TrialState::kPruned);
  EXPECT_EQ(sweep.state(0), TrialState::kRunning);
}

TEST(Coordinator, AHostWhereTrialAfterTrialBreaksIsSetAsideWithAllItsGroups) {
  Sweep sweep("[sweep]\nobjective.kl_wt = 1, 2, 3, 4, 5, 6, 7, 8\nretries = 9\n");
  sweep.restart({"bad", "bad", "good"});
  for (const int64_t group : {0, 1, 2}) sweep.report(group, {}, 1);  // trials 0, 1, 2
  sweep.report(0, {ended(0, RowEnd::kBroken, "no")}, 1);             // gets 3
  sweep.report(1, {ended(1, RowEnd::kBroken, "no")}, 1);             // gets 0
  EXPECT_THAT(sweep.report(0, {ended(3, RowEnd::kBroken, "no")}, 1), IsEmpty());
  EXPECT_THAT(sweep.coordinator().take_notes(),
              testing::Contains(testing::HasSubstr("host bad is set aside")));
  EXPECT_THAT(sweep.report(1, {ended(0, RowEnd::kComplete)}, 1), IsEmpty());
  EXPECT_THAT(Sweep::begun(sweep.report(2, {ended(2, RowEnd::kComplete)}, 1), 2), ElementsAre(1));
  EXPECT_THAT(Sweep::begun(sweep.lose(2), 0), ElementsAre(3)) << "where nobody else is left";
}

TEST(Coordinator, TheBudgetOfRetriesHoldsOverARestart) {
  Sweep sweep(kSixTrials, 1);
  sweep.report(0, {}, 1);
  sweep.report(0, {ended(0, RowEnd::kBroken, "full disk")}, 1);
  sweep.restart(1);
  sweep.report(0, {}, 1);
  sweep.report(0, {ended(0, RowEnd::kBroken, "full disk")}, 1);
  EXPECT_EQ(sweep.state(0), TrialState::kFailed);
}

TEST(Coordinator, ASuccessorLetsGroupsGoOnAndHandsOutWhatNobodyNames) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {});  // 0, 1
  sweep.report(1, {});  // 2, 3
  sweep.take_over(2);   // group 0 has died with the first coordinator, which is not known yet
  // Group 1 goes on with 2. Trials 0 and 1 may be trained by group 0, so a new one is begun.
  const auto first = sweep.report(1, {epoch(2, 1, -120), ended(3, RowEnd::kComplete)});
  EXPECT_THAT(Sweep::begun(first, 1), ElementsAre(4));
  EXPECT_EQ(sweep.state(3), TrialState::kComplete);
  sweep.lose(0);
  EXPECT_THAT(Sweep::begun(sweep.report(1, {ended(2, RowEnd::kComplete)}), 1), ElementsAre(0));
  EXPECT_THAT(Sweep::begun(sweep.report(1, {ended(4, RowEnd::kComplete)}), 1), ElementsAre(1));
}

TEST(Coordinator, WhatTheFirstOneHasWrittenDownIsNotToldTwice) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {});
  sweep.report(1, {});
  const std::vector<RowNews> news = {epoch(2, 1, -120), ended(3, RowEnd::kComplete)};
  sweep.report(1, news);  // written, and the first coordinator dies before it has answered
  const auto tells = sweep.contents().tells.size();
  sweep.take_over(2);
  // The same report once more, without the trial 4 of the answer that never came.
  const auto answers = sweep.coordinator().answer(
      {{.group = 1, .number = 9, .rows = 2, .running = {2}, .news = news}}, {});
  EXPECT_EQ(sweep.contents().tells.size(), tells);
  EXPECT_THAT(Sweep::begun(answers, 1), ElementsAre(5));
  const auto rest =
      sweep.coordinator().answer({{.group = 0, .number = 9, .rows = 4, .running = {0, 1}}}, {});
  EXPECT_THAT(Sweep::begun(rest, 0), ElementsAre(4));
}

TEST(Coordinator, ASuccessorDoesNotWaitForAGroupThatHasLeft) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {});
  sweep.report(1, {}, 4);
  sweep.take_over(2);
  EXPECT_THAT(sweep.report(1, {}, 4)[0].second.begin, IsEmpty());
  EXPECT_THAT(sweep.let_go(0), IsEmpty());  // nobody waits for an answer
  EXPECT_THAT(Sweep::begun(sweep.report(1, {ended(2, RowEnd::kComplete)}, 4), 1), ElementsAre(0));
}

TEST(Coordinator, AWarmStartWaitsForItsSource) {
  Sweep sweep("[sweep]\nobjective.kl_wt = 1, 2, 3, 4\nwarm_start = true\n");
  EXPECT_THAT(Sweep::begun(sweep.report(0, {}), 0), ElementsAre(0));
  EXPECT_THAT(sweep.report(1, {}), IsEmpty());
  const auto next = sweep.report(0, {ended(0, RowEnd::kComplete)});
  EXPECT_THAT(Sweep::begun(next, 0), ElementsAre(1, 2));  // in the same turn
  EXPECT_EQ(next[0].second.begin[1].source, 0);
  EXPECT_EQ(sweep.contents().find(2)->number_attribute("warm_start_from"), 0.0);
  const auto last = sweep.report(0, {epoch(1, 1, -3), ended(2, RowEnd::kComplete)});
  const auto& start = last.at(0).second.begin.at(0);
  EXPECT_EQ(start.trial, 3);
  EXPECT_EQ(start.source, 2);
}

TEST(Coordinator, OnceStoppedItSendsEachGroupAwayWithItsTrialsToBeResumed) {
  Sweep sweep(kSixTrials);
  sweep.report(0, {});
  sweep.report(1, {});
  sweep.coordinator().stop("signal USR2");
  const auto answers = sweep.report(0, {epoch(0, 1, -100), epoch(1, 1, -100)});
  EXPECT_TRUE(Sweep::sent_away(answers, 0));
  EXPECT_EQ(answers[0].second.exit_code, 75);
  EXPECT_FALSE(sweep.coordinator().everybody_left());
  EXPECT_TRUE(Sweep::sent_away(sweep.report(1, {}), 1));
  EXPECT_EQ(sweep.state(0), TrialState::kRunning);
}

TEST(Coordinator, LettersKeepWhatTheySay) {
  const Report report{.group = 2,
                      .number = 3,
                      .rows = 4,
                      .batch = 5,
                      .running = {6, 7},
                      .news = {{.trial = 8,
                                .epoch = 9,
                                .end = RowEnd::kFailed,
                                .error = "a \xff \"b\"",
                                .attributes = {{"beta", 0.1}, {"host", "x"}}}},
                      .interrupted = "signal"};
  const auto read = report_from(letter_of(report));
  EXPECT_EQ(read.running, report.running);
  EXPECT_EQ(read.batch, 5);
  EXPECT_EQ(read.interrupted, "signal");
  ASSERT_EQ(read.news.size(), 1U);
  EXPECT_EQ(read.news[0].end, RowEnd::kFailed);
  EXPECT_TRUE(std::isnan(read.news[0].value));
  EXPECT_EQ(read.news[0].attributes, report.news[0].attributes);
  const auto orders = orders_from(letter_of(
      Orders{.number = 1, .stop = {2}, .begin = {{3, "why", 4}}, .leave = true, .exit_code = 75}));
  EXPECT_EQ(orders.begin[0].prune, "why");
  EXPECT_EQ(orders.begin[0].source, 4);
  EXPECT_TRUE(orders_from(letter_of(Orders{.dismissed = true})).dismissed);
  EXPECT_TRUE(report_from(letter_of(Report{.farewell = true})).farewell);
  EXPECT_TRUE(orders.leave);
  EXPECT_THROW(orders_from("{\"version\": 99}"), BadLetter);
  EXPECT_THROW(report_from("nothing"), BadLetter);
}

}  // namespace
}  // namespace elbow::launch::cluster
