#include <gmock/gmock.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "launch/exit_code.h"
#include "launch/sweep/ledger.h"
#include "launch/sweep/ledger_lines.h"
#include "launch/sweep/sweep_config.h"
#include "tests/support/temporary_directory.h"

namespace elbow::launch::sweep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const Time kTime = std::chrono::system_clock::time_point(std::chrono::seconds(1700000000)) +
                   std::chrono::microseconds(123456);

StudyHead small_head() {
  const auto sweep = parse_sweep_text(
      "[sweep]\nobjective.kl_wt = logspace(1e-3, 1e-1, 3)\nmodel.latent = 2, 20\n"
      "model.activation = tanh, relu\n",
      "a.cfg");
  StudyHead head{
      .name = "a", .metric = "elbo_nats", .fingerprint = sweep_fingerprint(sweep), .axes = {}};
  for (const auto& axis : sweep.space.axes()) head.axes.push_back(range_of(axis));
  return head;
}

Event started(int64_t trial) {
  return TrialStarted{.trial = trial,
                      .values = {"2", "relu", "0.01"},
                      .seed = 7,
                      .time = kTime,
                      .attributes = {{"kl_wt", 0.01}}};
}
Event finished(int64_t trial, TrialState state, std::optional<double> value) {
  return TrialFinished{.trial = trial, .state = state, .value = value, .time = kTime};
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}
void append_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::app) << text;
}

std::string damage_of(const std::string& text) {
  try {
    ledger_from_text(text, "ledger.jsonl");
  } catch (const DamagedLedger& error) {
    return error.what();
  }
  return "no damage";
}

class LedgerTest : public testing::Test {
 protected:
  Ledger created() { return Ledger::create(file_, small_head()); }

  tests::TemporaryDirectory folder_;
  std::filesystem::path file_ = folder_.path() / "ledger.jsonl";
};

TEST_F(LedgerTest, WhatWasAppendedIsReadBack) {
  {
    auto ledger = created();
    ledger.append(started(4));
    ledger.append(
        std::vector<Event>{started(1), EpochReported{4, 1, -150.125}, EpochReported{4, 2, -149.5},
                           AttributeSet{4, "host", "n1"}, AttributeSet{4, "kl_nats", 6.5},
                           finished(4, TrialState::kComplete, -149.5), EpochReported{1, 1, -200}});
    ledger.append(finished(1, TrialState::kPruned, -200));
    ledger.append(started(2));
  }
  const auto contents = Ledger::open(file_).contents();
  EXPECT_EQ(contents.head.name, "a");
  EXPECT_EQ(contents.head.metric, "elbo_nats");
  EXPECT_TRUE(contents.head.larger_is_better);
  EXPECT_EQ(contents.head.fingerprint, small_head().fingerprint);
  ASSERT_EQ(contents.trials.size(), 3u);
  const auto& complete = *contents.find(4);
  EXPECT_EQ(complete.state, TrialState::kComplete);
  EXPECT_THAT(complete.values, ElementsAre("2", "relu", "0.01"));
  EXPECT_EQ(complete.seed, 7);
  EXPECT_EQ(complete.value, -149.5);
  EXPECT_EQ(complete.epochs(), 2);
  EXPECT_EQ(complete.by_epoch.at(1), -150.125);
  EXPECT_EQ(complete.text_attribute("host"), "n1");
  EXPECT_EQ(complete.number_attribute("kl_nats"), 6.5);
  EXPECT_EQ(complete.number_attribute("kl_wt"), 0.01);
  EXPECT_EQ(complete.started, kTime);
  EXPECT_EQ(complete.finished, kTime);
  EXPECT_EQ(contents.find(1)->state, TrialState::kPruned);
  EXPECT_EQ(contents.find(2)->state, TrialState::kRunning);
  EXPECT_EQ(contents.find(3), nullptr);
  EXPECT_EQ(contents.count(TrialState::kRunning), 1);
  EXPECT_EQ(contents.tells.size(), 3u);
}

TEST_F(LedgerTest, ATornLastLineIsCutOffWhereverItTears) {
  created().append(std::vector<Event>{started(0), EpochReported{0, 1, -150}});
  const auto before = text_of(file_);
  const std::string line = event_line(EpochReported{0, 2, -149}, small_head(), 0);
  for (size_t length = 1; length < line.size(); ++length) {
    append_text(file_, line.substr(0, length));
    EXPECT_EQ(read_ledger(file_).find(0)->epochs(), 1);  // a reader leaves the file alone
    auto ledger = Ledger::open(file_);
    EXPECT_EQ(text_of(file_), before);
    ASSERT_EQ(ledger.contents().find(0)->epochs(), 1);
  }
  auto ledger = Ledger::open(file_);
  ledger.append(EpochReported{0, 2, -149});
  EXPECT_EQ(text_of(file_), before + line);
}

TEST_F(LedgerTest, ADamagedLineIsNamedAndNothingIsCutOff) {
  created().append(std::vector<Event>{started(0), EpochReported{0, 1, -150}});
  const auto good = text_of(file_);
  EXPECT_THAT(damage_of(good + "{\"op_code\":7,\n" + good),
              AllOf(HasSubstr("line 6 of the ledger ledger.jsonl is damaged (byte "),
                    HasSubstr("no JSON")));
  EXPECT_THAT(damage_of(good + "{\"op_code\":7}\n"), HasSubstr("line 6 "));
  EXPECT_THAT(damage_of(good + event_line(started(0), small_head(), 1)),
              HasSubstr("begun already"));
  EXPECT_THAT(damage_of(good + "{\"op_code\":1,\"worker_id\":\"x\",\"study_id\":0}\n"),
              HasSubstr("deleted"));
  EXPECT_THAT(damage_of(""), HasSubstr("is no ledger"));
  EXPECT_THAT(damage_of(good.substr(0, good.find('\n') + 1)), HasSubstr("is no ledger"));
  append_text(file_, "glued{}\n");
  const auto damaged = text_of(file_);
  EXPECT_THROW(Ledger::open(file_), DamagedLedger);
  EXPECT_EQ(text_of(file_), damaged);
  EXPECT_EQ(exit_code_of(DamagedLedger("x")), ExitCode::kDamaged);
}

TEST_F(LedgerTest, NeverHoldsWhatIsNotFinite) {
  auto ledger = created();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ledger.append(std::vector<Event>{started(0), EpochReported{0, 1, nan}});
  EXPECT_EQ(ledger.contents().find(0)->epochs(), 0);
  EXPECT_EQ(ledger.contents().find(0)->number_attribute("nonfinite_epoch"), 1);
  EXPECT_THROW(ledger.append(AttributeSet{0, "kl_nats", nan}), std::logic_error);
  EXPECT_THROW(ledger.append(finished(0, TrialState::kComplete, nan)), std::logic_error);
  ledger.append(finished(0, TrialState::kFailed, nan));
  EXPECT_THAT(text_of(file_), Not(HasSubstr("nan")));
  EXPECT_EQ(read_ledger(file_).find(0)->number_attribute("nonfinite_epoch"), 1);
  EXPECT_EQ(read_ledger(file_).find(0)->state, TrialState::kFailed);
}

TEST_F(LedgerTest, WhatCannotBeIsRefusedAndChangesNothing) {
  auto ledger = created();
  ledger.append(started(0));
  ledger.append(finished(0, TrialState::kComplete, -1));
  const auto before = text_of(file_);
  for (const Event& wrong :
       {started(0), finished(0, TrialState::kFailed, {}), finished(1, TrialState::kFailed, {}),
        Event(EpochReported{0, 3, 1}), Event(AttributeSet{9, "a", 1.0}),
        Event(TrialStarted{.trial = 5, .values = {"2", "relu"}, .seed = 1, .time = kTime}),
        Event(TrialStarted{.trial = 5, .values = {"2", "sine", "1"}, .seed = 1, .time = kTime}),
        Event(AttributeSet{0, "trial", 1.0})}) {
    EXPECT_THROW(ledger.append(std::vector<Event>{started(8), wrong}), std::logic_error);
    EXPECT_EQ(text_of(file_), before);
    EXPECT_EQ(ledger.contents().find(8), nullptr);
  }
  EXPECT_THROW(created(), std::system_error);  // there already
}

TEST_F(LedgerTest, ADiskThatRefusesLeavesWholeLinesAndTheSameContents) {
  auto ledger = created();
  ledger.append(started(0));
  const auto before = text_of(file_);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  getrlimit(RLIMIT_FSIZE, &unlimited);
  rlimit limited = unlimited;
  limited.rlim_cur = before.size() + 20;  // the write is cut short, then refused
  setrlimit(RLIMIT_FSIZE, &limited);
  EXPECT_THROW(ledger.append(EpochReported{0, 1, -150}), std::system_error);
  setrlimit(RLIMIT_FSIZE, &unlimited);
  EXPECT_EQ(text_of(file_), before);
  EXPECT_EQ(ledger.contents().find(0)->epochs(), 0);
  ledger.append(EpochReported{0, 1, -149});
  EXPECT_EQ(read_ledger(file_).find(0)->by_epoch.at(1), -149);
}

TEST_F(LedgerTest, LinesThatOptunaAddsArePassedOver) {
  created().append(std::vector<Event>{started(0), EpochReported{0, 1, -150}});
  append_text(file_,
              R"({"op_code":3,"worker_id":"d","study_id":0,"system_attr":{"dashboard:note":"x"}})"
              "\n"
              R"({"op_code":0,"worker_id":"d","study_name":"other","directions":[1]})"
              "\n"
              R"({"op_code":4,"worker_id":"d","study_id":1,"datetime_start":null})"
              "\n"
              R"({"op_code":5,"worker_id":"d","trial_id":1,"param_name":"x"})"
              "\n"
              R"({"op_code":7,"worker_id":"d","trial_id":1,"step":1,"intermediate_value":3})"
              "\n"
              R"({"op_code":8,"worker_id":"d","trial_id":0,"user_attr":{"note":"good","trial":5}})"
              "\n");
  auto ledger = Ledger::open(file_);
  EXPECT_EQ(ledger.contents().trials.size(), 1u);
  EXPECT_EQ(ledger.contents().find(0)->text_attribute("note"), "good");
  ledger.append(started(1));
  EXPECT_EQ(ledger.contents().find(1)->journal_id, 2);  // 1 is the other study's
  ledger.append(finished(1, TrialState::kPruned, -3));
  EXPECT_EQ(read_ledger(file_).find(1)->value, -3);
}

// The next two are for tests/optuna: on the file ELBOW_LEDGER, where it is set.
TEST_F(LedgerTest, AnExampleOfEverythingIsWritten) {
  if (const char* kept = std::getenv("ELBOW_LEDGER")) file_ = kept;
  auto head = small_head();
  head.shard = "2/3";
  auto ledger = Ledger::create(file_, head);
  const auto start = [](int64_t trial) {
    return TrialStarted{.trial = trial, .values = {"20", "relu", "0.01"}, .seed = 7, .time = kTime};
  };
  ledger.append(std::vector<Event>{start(4), start(1)});
  ledger.append(std::vector<Event>{EpochReported{4, 1, -200}, EpochReported{1, 1, -150.125}});
  ledger.append(std::vector<Event>{finished(4, TrialState::kPruned, -200), start(7),
                                   EpochReported{1, 2, -149.5}, AttributeSet{1, "kl_nats", 6.5},
                                   AttributeSet{1, "host", "n1"},
                                   finished(1, TrialState::kComplete, -149.5), start(10)});
  ledger.append(EpochReported{7, 1, std::nan("")});
  ledger.append(finished(7, TrialState::kFailed, {}));
  EXPECT_EQ(read_ledger(file_).count(TrialState::kRunning), 1);
}

TEST_F(LedgerTest, TheExampleIsGoneOnWith) {
  const char* kept = std::getenv("ELBOW_LEDGER");
  if (kept == nullptr) GTEST_SKIP() << "ELBOW_LEDGER names no file";
  auto ledger = Ledger::open(kept);
  EXPECT_EQ(ledger.contents().trials.size(), 4u);
  EXPECT_EQ(ledger.contents().find(1)->value, -149.5);
  EXPECT_EQ(ledger.contents().head.shard, "2/3");
  ledger.append(AttributeSet{10, "retries", 1.0});
}

TEST(LedgerTime, GoesThroughTextAndBack) {
  EXPECT_EQ(time_text(kTime), "2023-11-14T22:13:20.123456");
  EXPECT_EQ(time_from_text("2023-11-14T22:13:20.123456"), kTime);
  EXPECT_EQ(time_from_text("2023-11-14T22:13:20"), kTime - std::chrono::microseconds(123456));
  for (const char* wrong :
       {"", "yesterday", "2023-11-14", "2023-11-14T22:13:20.5Z", "9999-01-01T00:00:00"})
    EXPECT_EQ(time_from_text(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace elbow::launch::sweep
