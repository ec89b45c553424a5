// The rows of a pack come, stop, fail and are replaced, each as if it were alone.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/error.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/unreliable_ranks.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using tests::small_data;
using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

constexpr int64_t kObserved = 35, kStepsPerEpoch = 3;  // of 75 examples

Settings trial(int64_t seed, double lr = 2e-3, int64_t epochs = 2, int64_t steps = 0) {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = epochs,
                    .steps = steps,
                    .batch_size = 32,
                    .seed = seed,
                    .reproducible = "exact",
                    .leaves = 8};
  settings.optimizer = {.kind = "adam", .lr = lr, .second_moment_start = 0.5};
  settings.objective.beta = 0.5 * static_cast<double>(seed);
  settings.objective.l2 = 1e-4;
  return settings;
}

struct Outcome {
  at::Tensor parameters;
  SplitMetrics train, held_out;
};

// A trial by itself, on one rank.
Outcome alone(const Settings& settings, int64_t epochs) {
  const auto data = small_data(75, 300, 5, 7);
  const auto ranks = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, {row_of(settings, kObserved)}, data, *ranks, team);
  EpochResult last;
  for (int64_t epoch = 0; epoch < epochs; ++epoch) last = trainer.run_epoch(nullptr, nullptr);
  return {trainer.pack().parameters.select(0, 0).clone(), last.train[0], last.held_out[0]};
}

void expect_row(const Trainer& trainer, const EpochResult& last, int64_t row,
                const Outcome& wanted) {
  const auto snapshot = trainer.snapshot(row);
  EXPECT_TRUE(at::equal(snapshot.rows[0].parameters, wanted.parameters)) << "row " << row;
  EXPECT_EQ(last.train[row].loss, wanted.train.loss) << "row " << row;
  EXPECT_EQ(last.held_out[row].elbo_nats, wanted.held_out.elbo_nats) << "row " << row;
  EXPECT_EQ(last.train[row].step, wanted.train.step) << "row " << row;
}

std::vector<Row> empty_rows(int64_t count) { return std::vector<Row>(count, {.active = false}); }

TEST(PackRows, ARowThatBecomesNonFiniteStopsAloneAndTheOthersKeepTheirBits) {
  const auto data = small_data(75, 300, 5, 7);
  const auto wanted = alone(trial(1), 1), other = alone(trial(3), 1);
  for (int size : {1, 2, 3}) {
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(1);
      Trainer trainer(trial(1), empty_rows(3), data, ranks, team);
      trainer.put_row(0, trial(1), nullptr);
      trainer.put_row(1, trial(2, /*lr=*/1e30), nullptr);
      trainer.put_row(2, trial(3), nullptr);
      const auto epoch = trainer.run_epoch(nullptr, nullptr);
      ASSERT_EQ(epoch.nonfinite.size(), 1U);
      EXPECT_EQ(epoch.nonfinite[0].row(), 1);
      EXPECT_FALSE(trainer.pack().rows[1].active);
      EXPECT_EQ(trainer.pack().rows[1].step, 1);
      EXPECT_TRUE(epoch.train[1].split.empty());
      expect_row(trainer, epoch, 0, wanted);
      expect_row(trainer, epoch, 2, other);
    });
  }
}

TEST(PackRows, ARowIsReplacedWhileItsNeighbourGoesOn) {
  const auto data = small_data(75, 300, 5, 7);
  const auto long_one = alone(trial(1, 2e-3, 3), 3), short_one = alone(trial(2, 1e-3, 1), 1),
             late_one = alone(trial(3, 5e-3, 2), 2);
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(trial(1), empty_rows(2), data, ranks, team);
    trainer.put_row(0, trial(1, 2e-3, 3), nullptr);
    trainer.put_row(1, trial(2, 1e-3, 1), nullptr);
    auto epoch = trainer.run_epoch(nullptr, nullptr);
    expect_row(trainer, epoch, 1, short_one);
    trainer.put_row(1, trial(3, 5e-3, 2), nullptr);
    trainer.run_epoch(nullptr, nullptr);
    epoch = trainer.run_epoch(nullptr, nullptr);
    expect_row(trainer, epoch, 0, long_one);
    expect_row(trainer, epoch, 1, late_one);
  });
}

TEST(PackRows, ARowThatStopsWithinTheEpochIsMeasuredThere) {
  const auto data = small_data(75, 300, 5, 7);
  const auto brief = alone(trial(1, 2e-3, 1, /*steps=*/2), 1), whole = alone(trial(2), 1);
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(trial(1), empty_rows(2), data, ranks, team);
    trainer.put_row(0, trial(1, 2e-3, 1, /*steps=*/2), nullptr);
    trainer.put_row(1, trial(2), nullptr);
    const auto epoch = trainer.run_epoch(nullptr, nullptr);
    expect_row(trainer, epoch, 0, brief);
    expect_row(trainer, epoch, 1, whole);
    EXPECT_EQ(trainer.snapshot(0).batch, 2);
    EXPECT_EQ(trainer.posterior_trace(0).size(0), 2);
    EXPECT_EQ(trainer.posterior_trace(1).size(0), kStepsPerEpoch);
  });
}

TEST(PackRows, ASnapshotOfOneRowGoesOnInAnotherPack) {
  const auto data = small_data(75, 300, 5, 7);
  const auto wanted = alone(trial(2), 2);
  const auto self = comm::make_self();
  ThreadTeam team(1);
  Trainer first(trial(1), empty_rows(2), data, *self, team);
  first.put_row(0, trial(1), nullptr);
  first.put_row(1, trial(2), nullptr);
  struct Stop {};
  EXPECT_THROW(first.run_epoch(nullptr, nullptr,
                               [&] {
                                 if (first.pack().rows[1].step == 2) throw Stop();
                               }),
               Stop);
  const auto snapshot = first.snapshot(1);
  EXPECT_EQ(snapshot.batch, 2);
  Trainer second(trial(1), empty_rows(3), data, *self, team);
  second.put_row(2, trial(2), &snapshot);
  second.run_epoch(nullptr, nullptr);
  second.put_row(0, trial(1), nullptr);  // at the epoch's beginning others may come
  expect_row(second, second.run_epoch(nullptr, nullptr), 2, wanted);
  EXPECT_THROW(second.put_row(1, trial(2), &snapshot), c10::Error);
}

// Where ranks share no memory rows are updated one after another, in place. Row 1 is two epochs
// ahead of row 0, which names the moment: rank 1 dies before row 1's part of the second step, when
// row 0 has made its own.
TEST(PackRows, APeerLostBetweenTwoRowsLeavesBothBeforeTheStep) {
  const auto data = small_data(75, 300, 5, 7);
  const auto self = comm::make_self();
  ThreadTeam team_alone(1);
  Trainer ahead(trial(2, 2e-3, 3), {row_of(trial(2, 2e-3, 3), kObserved)}, data, *self, team_alone);
  for (int epoch = 0; epoch < 2; ++epoch) ahead.run_epoch(nullptr, nullptr);
  const auto begun = ahead.snapshot(0);
  const comm::ThreadOptions two_hosts{.hosts = {"one", "other"}};
  int checked = 0;
  tests::spawn_ranks(
      2,
      [&](comm::Communicator& ranks, comm::ThreadWorld& world) {
        const auto unreliable = tests::make_unreliable(
            world.communicator(ranks.rank()), world, ranks.rank(),
            {{.rank = 1, .step = 7, .phase = "gradient sum", .operation = 0, .dies = 1}});
        ThreadTeam team(1);
        Trainer trainer(trial(1), empty_rows(2), data, *unreliable, team);
        trainer.put_row(0, trial(1), nullptr);
        trainer.put_row(1, trial(2, 2e-3, 3), &begun);
        if (ranks.rank() == 1) {
          trainer.run_epoch(nullptr, nullptr);
          return;
        }
        Snapshot before;
        EXPECT_THROW(trainer.run_epoch(nullptr, nullptr, [&] { before = trainer.snapshot(); }),
                     comm::PeerLost);
        const auto after = trainer.snapshot();
        EXPECT_EQ(after.batch, 1);
        for (int row = 0; row < 2; ++row) {
          EXPECT_EQ(after.rows[row].step, before.rows[row].step);
          EXPECT_TRUE(at::equal(after.rows[row].parameters, before.rows[row].parameters));
          EXPECT_TRUE(at::equal(after.rows[row].state, before.rows[row].state));
        }
        ++checked;  // by the survivor alone
      },
      two_hosts);
  EXPECT_EQ(checked, 1);
}

}  // namespace
}  // namespace elbow::trainer
