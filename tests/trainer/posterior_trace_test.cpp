#include "trainer/posterior_trace.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <mutex>

#include "models/mkl.h"
#include "models/noise.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using testing::ElementsAre;
using tests::small_data;
using tests::spawn_ranks;
using tests::TemporaryDirectory;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Settings small_settings(const std::string& mode) {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = 2, .batch_size = 32, .seed = 5, .reproducible = mode, .leaves = 8};
  return settings;
}

std::vector<Row> two_rows(const Settings& settings) {
  std::vector<Row> rows(2, row_of(settings, 35));
  rows[1].seed += 1;
  return rows;
}

// The trace of the second epoch: 65 examples, so that the last of 3 batches has a single one, which
// not every rank has a share of.
std::vector<at::Tensor> trace_on(int size, int64_t threads, const std::string& mode) {
  const auto settings = small_settings(mode);
  const auto data = small_data(65, 40, 5, 7);
  std::vector<at::Tensor> traces;
  std::mutex lock;
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(threads);
    Trainer trainer(settings, two_rows(settings), data, ranks, team);
    trainer.run_epoch(nullptr, nullptr);
    trainer.run_epoch(nullptr, nullptr);
    const std::lock_guard guard(lock);
    for (int64_t row : {0, 1}) {
      const auto trace = trainer.posterior_trace(row).clone();
      if (static_cast<int64_t>(traces.size()) <= row) traces.push_back(trace);
      EXPECT_TRUE(at::equal(traces[row], trace)) << "rank " << ranks.rank();
    }
  });
  return traces;
}

TEST(PosteriorTrace, HoldsTheFirstExampleOfEachStepBeforeItsUpdate) {
  const auto settings = small_settings("exact");
  const auto data = small_data(65, 40, 5, 7);
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    auto shuffled = settings;
    shuffled.train.shuffle = false;
    Trainer trainer(shuffled, two_rows(shuffled), data, ranks, team);
    // What the initial weights make of example 0, and what they make of it after one step.
    const auto encode = [&](int64_t row) {
      const auto x = at::empty({1, 35});
      gather(data.train, std::vector<int64_t>{0}, request_of(shuffled.data), x);
      const models::BoundParameters bound(trainer.model().layout(),
                                          trainer.pack().parameters.narrow(0, row, 1).clone());
      at::NoGradGuard no_gradient;
      const auto terms = trainer.model().terms(bound, {x.unsqueeze(0), at::zeros({1, 1, 3})});
      return at::cat({terms.posterior_mean, terms.posterior_scale}, 1).select(0, 0);
    };
    const std::vector before = {encode(0), encode(1)};
    trainer.run_epoch(nullptr, nullptr);
    for (int64_t row : {0, 1}) {
      const auto trace = trainer.posterior_trace(row);
      ASSERT_EQ(trace.sizes(), at::IntArrayRef({3, 2, 3}));
      EXPECT_TRUE(at::allclose(trace[0], before[row], 1e-5, 1e-6)) << trace[0] << before[row];
      EXPECT_FALSE(at::allclose(encode(row), before[row], 1e-3, 1e-3)) << "weights did not move";
    }
  });
}

TEST(PosteriorTrace, IsTheSameOnAnyNumberOfRanksAndThreads) {
  const auto expected = trace_on(1, 1, "exact");
  EXPECT_TRUE(expected[0].isfinite().all().item<bool>());
  EXPECT_GT(expected[0].select(1, 1).min().item<float>(), 0) << "sigma";
  for (int size : {2, 3, 4}) {
    const auto exact = trace_on(size, 2, "exact"), fast = trace_on(size, 2, "fast");
    for (int row : {0, 1}) {
      EXPECT_TRUE(at::equal(exact[row], expected[row])) << size << " ranks";
      EXPECT_TRUE(at::allclose(fast[row], expected[row], 1e-3, 1e-4)) << size << " ranks";
    }
  }
}

TEST(PosteriorTrace, OfALongEpochKeepsEveryStrideThStep) {
  EXPECT_EQ(TraceRule(1).kept(1), 1);
  EXPECT_EQ(TraceRule(kLongestTrace).kept(kLongestTrace), kLongestTrace);
  EXPECT_EQ(TraceRule(kLongestTrace + 1).kept(kLongestTrace + 1), kLongestTrace / 2 + 1);
  EXPECT_EQ(TraceRule(3 * kLongestTrace).kept(3 * kLongestTrace), kLongestTrace);
  EXPECT_LE(TraceRule(1'000'003).kept(1'000'003), kLongestTrace);

  auto settings = small_settings("fast");
  settings.model = {.encoder = {2}, .decoder = {2}, .latent = 1};
  settings.train.epochs = 1;
  settings.train.batch_size = 1;
  const auto data = small_data(kLongestTrace + 3, 1, 5, 7);
  spawn_ranks(1, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, {row_of(settings, 35)}, data, ranks, team);
    const TraceRule rule(trainer.steps_per_epoch());
    bool as_told = true;
    trainer.run_epoch(nullptr, nullptr, [&] {
      as_told &= trainer.posterior_trace(0).size(0) == rule.kept(trainer.pack().batch);
    });
    EXPECT_TRUE(as_told);
    const auto trace = trainer.posterior_trace(0);
    EXPECT_EQ(trace.size(0), kLongestTrace / 2 + 2);
    EXPECT_TRUE(trace.isfinite().all().item<bool>());
  });
}

std::vector<int64_t> epochs_in(const std::filesystem::path& folder) {
  std::vector<int64_t> epochs;
  for (const auto& [epoch, file] : posterior_traces(folder)) epochs.push_back(epoch);
  return epochs;
}

TEST(PosteriorTrace, TheFirstEpochAndTheNewestAreKept) {
  const TemporaryDirectory run;
  const auto folder = run.path() / "traces";
  EXPECT_THAT(epochs_in(folder), ElementsAre());
  for (int64_t epoch = 1; epoch <= 12; ++epoch)
    save_posterior_trace(folder, {epoch, at::full({4, 2, 3}, static_cast<double>(epoch))});
  EXPECT_THAT(epochs_in(folder), ElementsAre(1, 12));
  EXPECT_TRUE(std::filesystem::exists(folder / "posterior_epoch_0001.npy"));
  EXPECT_TRUE(
      at::equal(load_posterior_trace(posterior_trace_file(folder, 12)), at::full({4, 2, 3}, 12.0)));
}

TEST(PosteriorTrace, AResumedRunGoesOnFromTheStepsThatItKeeps) {
  const TemporaryDirectory folder;
  save_posterior_trace(folder.path(), {1, at::full({4, 2, 3}, 1.0)});
  save_posterior_trace(folder.path(), {5, at::arange(24, at::kFloat).view({4, 2, 3})});
  // Back to the third step of epoch 5, whose fourth was made and lost.
  const auto three = resume_posterior_traces(folder.path(), 5, 3, 3);
  EXPECT_TRUE(at::equal(three, at::arange(18, at::kFloat).view({3, 2, 3})));
  EXPECT_TRUE(at::equal(load_posterior_trace(posterior_trace_file(folder.path(), 5)), three));
  // Back to an earlier epoch: what the folder does not know any more is NaN.
  const auto unknown = resume_posterior_traces(folder.path(), 4, 2, 3);
  EXPECT_TRUE(unknown.isnan().all().item<bool>());
  EXPECT_THAT(epochs_in(folder.path()), ElementsAre(1, 4));
  // Back to the beginning.
  EXPECT_EQ(resume_posterior_traces(folder.path(), 1, 0, 3).size(0), 0);
  EXPECT_THAT(epochs_in(folder.path()), ElementsAre());
}

TEST(PosteriorTrace, AFileOfAnotherShapeIsRefused) {
  const TemporaryDirectory folder;
  save_posterior_trace(folder.path(), {1, at::zeros({4, 3, 3})});
  EXPECT_THROW(load_posterior_trace(posterior_trace_file(folder.path(), 1)), DataError);
}

}  // namespace
}  // namespace elbow::trainer
