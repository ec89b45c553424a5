// A trainer that is stopped after any step and gone on with by another, on another number of ranks,
// gives the bits of one that was not.
#include "trainer/snapshot.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>

#include "comm/communicators.h"
#include "models/mkl.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/checkpoint_exchange.h"
#include "trainer/trainer.h"
#include "trainer/trial.h"

namespace elbow::trainer {
namespace {

using tests::small_data;
using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Settings small_settings() {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = 2, .batch_size = 32, .seed = 5, .reproducible = "exact", .leaves = 4};
  settings.objective.anneal = "linear";
  settings.objective.anneal_steps = 4;
  settings.optimizer.kind = "adam";
  settings.optimizer.schedule = "cosine";
  return settings;
}

std::vector<Row> two_rows(const Settings& settings) {
  std::vector<Row> rows(2, row_of(settings, 35));
  rows[1].seed = 6;
  rows[1].beta = 2;
  rows[1].l2 = 1e-3;
  return rows;
}

// 75 examples: three steps an epoch.
const Dataset& data() {
  static const Dataset data = small_data(75, 300, 5, 7);
  return data;
}

struct Stop {};

// Trains `epochs` epochs, or to the step after which `stop_after` steps are made, from `from` on.
struct Outcome {
  Snapshot end;
  std::vector<SplitMetrics> train, held_out;
};
Outcome train_on(int size, int64_t epochs, const Snapshot* from, int64_t stop_after = -1) {
  const auto settings = small_settings();
  Outcome outcome;
  std::mutex lock;
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, two_rows(settings), data(), ranks, team);
    if (from != nullptr) {
      ranks.barrier();
      trainer.adopt(*from);
      ranks.barrier();
    }
    EpochResult last;
    try {
      while (trainer.pack().rows[0].epoch < epochs) {
        last = trainer.run_epoch(nullptr, nullptr, [&] {
          if (trainer.pack().rows[0].step == stop_after) throw Stop();
        });
        if (trainer.pack().rows[0].step == stop_after) break;
      }
    } catch (const Stop&) {
    }
    const std::lock_guard guard(lock);
    outcome = {trainer.snapshot(), last.train, last.held_out};
  });
  return outcome;
}

void expect_same(const Snapshot& a, const Snapshot& b) {
  EXPECT_EQ(a.batch, b.batch);
  for (size_t k = 0; k < a.rows.size(); ++k) {
    EXPECT_TRUE(at::equal(a.rows[k].parameters, b.rows[k].parameters)) << "row " << k;
    EXPECT_TRUE(at::equal(a.rows[k].state, b.rows[k].state)) << "row " << k;
    EXPECT_EQ(a.rows[k].sums, b.rows[k].sums) << "row " << k;
    EXPECT_EQ(a.rows[k].step, b.rows[k].step);
    EXPECT_EQ(a.rows[k].epoch, b.rows[k].epoch);
  }
}

TEST(Snapshot, AfterAnyStepLeadsToTheSameBitsOnAnotherNumberOfRanks) {
  const auto whole = train_on(2, 2, nullptr);
  for (int64_t step = 1; step <= 6; ++step) {
    const auto stopped = train_on(1 + static_cast<int>(step % 3), 2, nullptr, step);
    ASSERT_EQ(stopped.end.rows[0].step, step);
    const auto resumed = train_on(3, 2, &stopped.end);
    expect_same(resumed.end, whole.end);
    if (step == 6) continue;  // nothing was left to do
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(resumed.train[k].loss, whole.train[k].loss) << "after step " << step;
      EXPECT_EQ(resumed.train[k].mu_std, whole.train[k].mu_std);
      EXPECT_EQ(resumed.train[k].examples, 75);
      EXPECT_EQ(resumed.held_out[k].elbo_nats, whole.held_out[k].elbo_nats);
      EXPECT_EQ(resumed.held_out[k].epoch, 2);
    }
  }
}

TEST(Snapshot, IsACopyThatTrainingDoesNotTouch) {
  const auto settings = small_settings();
  const auto alone = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, two_rows(settings), data(), *alone, team);
  const auto before = trainer.snapshot();
  const auto copy = before.rows[0].parameters.clone();
  trainer.run_epoch(nullptr, nullptr);
  EXPECT_TRUE(at::equal(before.rows[0].parameters, copy));
  EXPECT_FALSE(at::equal(trainer.pack().parameters[0], copy));
  trainer.adopt(before);
  expect_same(trainer.snapshot(), before);
}

TEST(Checkpoint, GoesFromOneRankToAll) {
  const auto sent = tests::small_checkpoint(12, /*rows=*/2);
  spawn_ranks(3, [&](comm::Communicator& ranks) {
    Checkpoint checkpoint;
    if (ranks.rank() == 1) checkpoint = sent;
    broadcast(ranks, checkpoint, /*root=*/1, tests::small_names());
    EXPECT_TRUE(tests::same(checkpoint, sent)) << "rank " << ranks.rank();
  });
}

}  // namespace
}  // namespace elbow::trainer
