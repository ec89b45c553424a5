// A half of a group that was cut off, and whose run goes on elsewhere, writes nothing any more.
#include <gtest/gtest.h>

#include <functional>

#include "comm/communicators.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/unreliable_ranks.h"
#include "trainer/checkpoint.h"
#include "trainer/text_file.h"
#include "trainer/trial.h"

namespace elbow::trainer {
namespace {

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

// Three steps an epoch.
const Dataset& data() {
  static const Dataset data = tests::small_data(75, 60, 5, 7);
  return data;
}

Settings small_settings() {
  Settings settings;
  settings.model = {.encoder = {8}, .decoder = {8}, .latent = 2};
  settings.train = {.epochs = 3, .batch_size = 32, .seed = 5, .reproducible = "exact", .leaves = 4};
  settings.log.every_steps = 1;
  return settings;
}

class WatchedSteps : public Observer {
 public:
  explicit WatchedSteps(std::function<void(int64_t step)> look) : look_(std::move(look)) {}
  void on_step(const StepProgress& progress) override { look_(progress.step); }
  void on_epoch(const SplitMetrics&, const SplitMetrics&) override {}
  void on_note(const std::string&) override {}

 private:
  std::function<void(int64_t step)> look_;
};

// Another host believes that the owner is gone, and takes the lock over after step 2.
void run_until_taken_over(const RunDirectory& directory, const Settings& settings) {
  const Interruption interruption;
  const RunLock lock(directory.lock(), std::chrono::seconds(1));
  WatchedSteps observer([&](int64_t step) {
    if (step == 2) replace_text_file(directory.lock(), "99 node07 4711\n");
  });
  tests::spawn_ranks(1, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, {row_of(settings, 35)}, data(), ranks, team);
    run_trial({.settings = settings,
               .data = data(),
               .ranks = ranks,
               .directory = directory,
               .observer = &observer,
               .interruption = interruption,
               .lock = &lock},
              trainer);
  });
}

TEST(Fencing, AnOwnerWhoseRunWasTakenOverStopsWithoutWriting) {
  for (const int64_t every_steps : {0, 1}) {
    const tests::TemporaryDirectory folder;
    const auto directory = RunDirectory::create(folder.path() / "run");
    auto settings = small_settings();
    settings.checkpoint.every_steps = every_steps;
    EXPECT_THROW(run_until_taken_over(directory, settings), LockLost) << every_steps;
    EXPECT_EQ(std::filesystem::file_size(directory.metrics()), 0u);
    EXPECT_FALSE(std::filesystem::exists(directory.result()));
    for (const int64_t step : checkpoint_steps(directory)) EXPECT_LT(step, 2);
  }
}

// Trains on three hosts, of which the first is cut off in step 4. What rank 0 has besides:
struct Owner {
  const RunLock* lock = nullptr;  // null: epoch 7 of one that nobody holds any more
  Observer* observer = nullptr;
};
void train_cut_off(const Settings& settings, const RunDirectory& directory, const Owner& owner) {
  const Interruption interruption;
  const auto train = [&](comm::Communicator& group, comm::ThreadWorld& world) {
    const int rank = group.rank();
    const auto ranks = tests::make_unreliable(world.communicator(rank), world, rank,
                                              {{0, 4, "gradient sum", 0, 0}});
    ThreadTeam team(1);
    Trainer trainer(settings, {row_of(settings, 35)}, data(), *ranks, team);
    TrialParts parts{.settings = settings,
                     .data = data(),
                     .ranks = *ranks,
                     .directory = directory,
                     .observer = rank == 0 ? owner.observer : nullptr,
                     .interruption = interruption,
                     .lock_patience = std::chrono::milliseconds(100)};
    if (owner.lock == nullptr) parts.lock_epoch = 7;
    if (rank == 0) parts.lock = owner.lock;
    run_trial(parts, trainer);
  };
  tests::spawn_ranks(3, train, {.hosts = {"node06", "node07", "node08"}});
}

// Rank 0 is lost to its peers, but lives: whoever lives keeps the lock.
TEST(Fencing, SurvivorsOfARankThatStillWritesStopWithoutWriting) {
  const tests::TemporaryDirectory folder;
  const auto directory = RunDirectory::create(folder.path() / "run");
  const RunLock lock(directory.lock(), std::chrono::seconds(1));
  EXPECT_THROW(train_cut_off(small_settings(), directory, {.lock = &lock}), LockLost);
  EXPECT_FALSE(std::filesystem::exists(directory.result()));
  for (const int64_t step : checkpoint_steps(directory)) EXPECT_LT(step, 4);
}

// Rank 0 is lost to its peers, and by the time that they get its lock its half has done something.
void be_cut_off_while(const std::function<void(const RunDirectory&)>& other_half,
                      const RunDirectory& directory) {
  auto settings = small_settings();
  settings.checkpoint.every_steps = 1;
  WatchedSteps observer([&](int64_t step) {
    if (step == 3) other_half(directory);
  });
  train_cut_off(settings, directory, {.observer = &observer});
}

TEST(Fencing, SurvivorsOfARankThatWasTheLastToWriteTakeTheRunOver) {
  const tests::TemporaryDirectory folder;
  const auto directory = RunDirectory::create(folder.path() / "run");
  be_cut_off_while(
      [](const RunDirectory& run) { replace_text_file(run.lock(), "7 node06 4711\n"); }, directory);
  EXPECT_EQ(checkpoint_steps(directory).back(), 9);
}

TEST(Fencing, SurvivorsStopWhereTheRunHasEndedElsewhere) {
  const tests::TemporaryDirectory folder;
  const auto directory = RunDirectory::create(folder.path() / "run");
  const auto end = [](const RunDirectory& run) { replace_text_file(run.result(), "{}"); };
  EXPECT_THROW(be_cut_off_while(end, directory), LockLost);
  EXPECT_LE(checkpoint_steps(directory).back(), 4);
}

TEST(Fencing, SurvivorsStopWhereTheRunHasBeenTrainedElsewhere) {
  const tests::TemporaryDirectory folder;
  const auto ahead = RunDirectory::create(folder.path() / "ahead");
  be_cut_off_while([](const RunDirectory&) {}, ahead);
  const auto directory = RunDirectory::create(folder.path() / "run");
  const auto go_on = [&](const RunDirectory& run) {
    std::filesystem::create_directories(run.checkpoint(9));
    std::filesystem::copy(ahead.checkpoint(9), run.checkpoint(9));
  };
  EXPECT_THROW(be_cut_off_while(go_on, directory), LockLost);
}

TEST(Fencing, SurvivorsStopWhereAnotherHasOwnedTheRunSince) {
  const tests::TemporaryDirectory folder;
  const auto directory = RunDirectory::create(folder.path() / "run");
  const auto own = [](const RunDirectory& run) {
    replace_text_file(run.lock(), "9 node09 4711\n");
  };
  EXPECT_THROW(be_cut_off_while(own, directory), LockLost);
}

}  // namespace
}  // namespace elbow::trainer
