#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "comm/communicators.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using tests::small_data;
using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Settings small_settings(const std::string& mode) {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = 2, .batch_size = 32, .seed = 5, .reproducible = mode, .leaves = 8};
  settings.optimizer = {.kind = "rmsprop", .lr = 2e-3};
  settings.objective.anneal = "linear";
  settings.objective.anneal_steps = 7;
  return settings;
}

std::vector<Row> rows_of(const Settings& settings, int64_t observed, int64_t count) {
  std::vector<Row> rows(count, row_of(settings, observed));
  for (int64_t k = 0; k < count; ++k) {
    rows[k].seed += static_cast<uint64_t>(k);
    rows[k].beta *= 1.0 + 0.5 * static_cast<double>(k);
    rows[k].l2 = 1e-4 * static_cast<double>(k);
    rows[k].lr *= 1.0 + static_cast<double>(k);
  }
  return rows;
}

struct Outcome {
  at::Tensor parameters, state;
  std::vector<SplitMetrics> train, held_out;
};

// 75 examples: batches of 32, 32 and 11, so the last one has leaves of one or two examples.
Outcome train_on(int size, int64_t threads, const Settings& settings,
                 const std::vector<Row>& rows) {
  const auto data = small_data(75, 300, 5, 7);
  Outcome first;
  std::mutex lock;
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(threads);
    Trainer trainer(settings, rows, data, ranks, team);
    EpochResult last;
    for (int64_t epoch = 0; epoch < settings.train.epochs; ++epoch)
      last = trainer.run_epoch(nullptr, nullptr);
    const std::lock_guard guard(lock);
    const Outcome mine{trainer.pack().parameters.clone(), trainer.pack().state.clone(), last.train,
                       last.held_out};
    if (!first.parameters.defined()) first = mine;
    EXPECT_TRUE(at::equal(first.parameters, mine.parameters)) << "rank " << ranks.rank();
    EXPECT_TRUE(at::equal(first.state, mine.state));
    EXPECT_EQ(first.held_out[0].elbo_nats, mine.held_out[0].elbo_nats);
  });
  return first;
}

TEST(Step, ExactGivesTheSameBitsOnAnyNumberOfRanksAndThreads) {
  const auto settings = small_settings("exact");
  const auto rows = rows_of(settings, 35, 2);
  const auto expected = train_on(1, 1, settings, rows);
  for (int size : {1, 2, 3, 4, 8}) {
    for (int64_t threads : {1, 2}) {
      const auto other = train_on(size, threads, settings, rows);
      EXPECT_TRUE(at::equal(other.parameters, expected.parameters))
          << size << " ranks, " << threads << " threads";
      EXPECT_TRUE(at::equal(other.state, expected.state));
      for (int k = 0; k < 2; ++k) {
        EXPECT_EQ(other.train[k].loss, expected.train[k].loss);
        EXPECT_EQ(other.held_out[k].loss, expected.held_out[k].loss);
        EXPECT_EQ(other.held_out[k].sigma_std, expected.held_out[k].sigma_std);
        EXPECT_EQ(other.held_out[k].sigma_min, expected.held_out[k].sigma_min);
        EXPECT_EQ(other.held_out[k].baseline_recon_nats, expected.held_out[k].baseline_recon_nats);
        const auto &found = *other.held_out[k].posterior, &wanted = *expected.held_out[k].posterior;
        EXPECT_EQ(found.aggregate_covariance, wanted.aggregate_covariance);
        EXPECT_EQ(found.kl_nats, wanted.kl_nats);
        EXPECT_EQ(found.mu_norm_quantiles, wanted.mu_norm_quantiles);
      }
    }
  }
}

TEST(Step, ATrialAloneAndAsARowAmongOthersHasTheSameBitsInExactMode) {
  const auto settings = small_settings("exact");
  const auto rows = rows_of(settings, 35, 4);
  const auto pack = train_on(2, 2, settings, rows);
  for (int64_t k = 0; k < 4; ++k) {
    const auto alone = train_on(1, 1, settings, {rows[k]});
    EXPECT_TRUE(at::equal(alone.parameters[0], pack.parameters[k])) << "row " << k;
    EXPECT_EQ(alone.held_out[0].elbo_nats, pack.held_out[k].elbo_nats);
  }
}

// Settings that need the whole batch, several samples or the gradient's norm before the update.
using Change = void (*)(Settings&);
class StepOf : public ::testing::TestWithParam<std::pair<const char*, Change>> {};

TEST_P(StepOf, ExactGivesTheSameBitsOnAnyWorldAloneAndInAPack) {
  auto settings = small_settings("exact");
  GetParam().second(settings);
  auto rows = rows_of(settings, 35, 2);
  rows[1].capacity.to *= 2;
  rows[1].free_bits *= 0.5;
  rows[1].sigma_weight *= 3;
  rows[1].clip_norm *= 2;
  const auto expected = train_on(1, 1, settings, rows);
  EXPECT_TRUE(at::isfinite(expected.parameters).all().item<bool>());
  for (const auto& [size, threads] : {std::pair{1, 2}, {2, 1}, {3, 2}}) {
    const auto other = train_on(size, threads, settings, rows);
    EXPECT_TRUE(at::equal(other.parameters, expected.parameters)) << size << " " << threads;
    for (int k = 0; k < 2; ++k) {
      EXPECT_EQ(other.train[k].loss, expected.train[k].loss);
      EXPECT_EQ(other.held_out[k].loss, expected.held_out[k].loss);
      EXPECT_EQ(other.held_out[k].recon_nats, expected.held_out[k].recon_nats);
    }
  }
  const auto alone = train_on(1, 1, settings, {rows[1]});
  EXPECT_TRUE(at::equal(alone.parameters[0], expected.parameters[1]));
  EXPECT_EQ(alone.held_out[0].loss, expected.held_out[1].loss);
}

TEST_P(StepOf, TheLossFallsAndFastAgreesWithExact) {
  auto settings = small_settings("exact");
  settings.objective.anneal = "none";
  settings.objective.anneal_steps = 0;
  GetParam().second(settings);
  settings.train.epochs = 12;
  const auto rows = rows_of(settings, 35, 1);
  settings.train.epochs = 1;
  const auto first = train_on(1, 1, settings, rows);
  settings.train.epochs = 12;
  const auto last = train_on(1, 1, settings, rows);
  EXPECT_LT(last.train[0].loss, first.train[0].loss);
  settings.train.reproducible = "fast";
  const auto fast = train_on(2, 1, settings, rows);
  EXPECT_NEAR(fast.train[0].loss, last.train[0].loss, 1e-3 * std::abs(last.train[0].loss));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, StepOf,
    ::testing::Values(
        std::pair{"iwae", +[](Settings& s) { s.objective.kind = "iwae", s.objective.samples = 3; }},
        std::pair{"dreg", +[](Settings& s) { s.objective.kind = "dreg", s.objective.samples = 2; }},
        std::pair{"samples", +[](Settings& s) { s.objective.samples = 3; }},
        std::pair{"batch_capacity",
                  +[](Settings& s) {
                    s.objective.capacity = "batch";
                    s.objective.capacity_nats = 1;
                    s.objective.capacity_steps = 4;
                  }},
        std::pair{"example_capacity",
                  +[](Settings& s) {
                    s.objective.capacity = "example";
                    s.objective.capacity_nats = 1;
                  }},
        std::pair{"free_bits", +[](Settings& s) { s.objective.free_bits = 0.3; }},
        std::pair{"free_bits_of_many_latents",  // more statistics than metrics
                  +[](Settings& s) { s.objective.free_bits = 0.05, s.model.latent = 24; }},
        std::pair{"sigma_penalty",
                  +[](Settings& s) { s.objective.sigma_wt = 0.5, s.model.posterior = "softplus"; }},
        std::pair{"optimal_sigma", +[](Settings& s) { s.model.likelihood = "gaussian_optimal"; }},
        std::pair{"learned_sigma", +[](Settings& s) { s.model.likelihood = "gaussian_learned"; }},
        std::pair{"convolutions",
                  +[](Settings& s) {
                    s.model.network = "conv", s.model.channels = {3, 4};
                    s.model.decoder = {};
                  }},
        std::pair{"clipping",
                  +[](Settings& s) {
                    s.optimizer.clip_norm = 0.5, s.optimizer.schedule = "cosine";
                    s.model.output_bias = "data_mean";
                  }}),
    [](const auto& info) { return std::string(info.param.first); });

TEST(Trainer, AdamsSecondMomentAndTheOutputBiasStartWhereTheSettingsSay) {
  auto settings = small_settings("fast");
  settings.optimizer = {.kind = "adam", .second_moment_start = 1};
  settings.model.output_bias = "data_mean";
  const auto data = small_data(75, 20, 5, 7);
  const auto self = comm::make_self();
  ThreadTeam team(1);
  const Trainer trainer(settings, rows_of(settings, 35, 2), data, *self, team);
  const auto& state = trainer.pack().state;
  EXPECT_EQ(state.select(1, 0).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(state.select(1, 1), at::ones_like(state.select(1, 1))));
  const auto means = data.train.images.to(at::kDouble).mean(0) / 255;
  for (int64_t k = 0; k < 2; ++k) {
    for (const auto& [name, values] :
         trainer.model().layout().to_named(trainer.pack().parameters.select(0, k))) {
      if (name != "decoder.output.bias") continue;
      EXPECT_TRUE(at::allclose(values.to(at::kDouble).sigmoid(), means.clamp(0.001, 0.999), 1e-5));
    }
  }
}

TEST(Trainer, StepsEndTheRunWithinAnEpochWhichIsMeasured) {
  auto settings = small_settings("fast");  // 3 steps an epoch
  settings.train.steps = 5;
  const auto data = small_data(75, 20, 5, 7);
  const auto self = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, rows_of(settings, 35, 1), data, *self, team);
  EXPECT_EQ(trainer.epochs(), 2);
  EXPECT_EQ(trainer.run_epoch(nullptr, nullptr).train[0].examples, 75);
  EXPECT_FALSE(trainer.finished());
  const auto last = trainer.run_epoch(nullptr, nullptr);
  EXPECT_TRUE(trainer.finished());
  EXPECT_EQ(last.train[0].examples, 64);
  EXPECT_EQ(last.train[0].epoch, 2);
  EXPECT_EQ(last.held_out[0].epoch, 2);
  EXPECT_EQ(last.held_out[0].step, 5);
}

TEST(Step, FastAndExactAgreeAndRanksDoNotMatter) {
  const auto exact = small_settings("exact");
  const auto fast = small_settings("fast");
  const auto rows = rows_of(exact, 35, 1);
  const auto expected = train_on(1, 1, exact, rows);
  for (int size : {1, 2, 3}) {
    const auto other = train_on(size, 2, fast, rows);
    EXPECT_NEAR(other.train[0].loss, expected.train[0].loss, 1e-4 * expected.train[0].loss);
    EXPECT_NEAR(other.held_out[0].elbo_nats, expected.held_out[0].elbo_nats,
                1e-4 * std::abs(expected.held_out[0].elbo_nats));
    EXPECT_EQ(other.train[0].examples, 75);
    EXPECT_EQ(other.held_out[0].examples, 300);
  }
}

// Weights stay in float32: in bfloat16 an update of 1e-3 of a weight would be lost.
TEST(Step, Bfloat16ProductsTrainLikeFloat32) {
  auto settings = small_settings("fast");
  const auto rows = rows_of(settings, 35, 2);
  const auto expected = train_on(1, 1, settings, rows);
  settings.train.precision = "bf16";
  for (int size : {1, 2}) {
    const auto low = train_on(size, 2, settings, rows);
    EXPECT_EQ(low.parameters.scalar_type(), at::kFloat);
    EXPECT_FALSE(at::equal(low.parameters, low.parameters.to(at::kBFloat16).to(at::kFloat)));
    for (int k = 0; k < 2; ++k) {
      EXPECT_NEAR(low.train[k].loss, expected.train[k].loss, 3e-3 * expected.train[k].loss);
      EXPECT_NEAR(low.held_out[k].loss, expected.held_out[k].loss,
                  3e-3 * expected.held_out[k].loss);
      EXPECT_NE(low.train[k].loss, expected.train[k].loss);
    }
  }
}

TEST(Step, LossFallsAndEveryEpochHasItsOwnOrder) {
  auto settings = small_settings("fast");
  settings.train.epochs = 1;
  const auto one = train_on(1, 1, settings, rows_of(settings, 35, 1));
  settings.train.epochs = 30;
  const auto thirty = train_on(1, 1, settings, rows_of(settings, 35, 1));
  EXPECT_LT(thirty.train[0].recon_nats, 0.95 * one.train[0].recon_nats);
}

TEST(Step, ANonFiniteRunIsNamedAndItsWeightsStay) {
  auto settings = small_settings("fast");
  settings.optimizer.lr = 1e30;  // the first update ruins it
  const auto data = small_data(75, 20, 5, 7);
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, rows_of(settings, 35, 1), data, ranks, team);
    try {
      trainer.run_epoch(nullptr, nullptr);
      FAIL() << "no error";
    } catch (const NonFinite& error) {
      const std::string sentence = error.what();
      EXPECT_NE(sentence.find("row 0"), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("step 2"), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("position 32"), std::string::npos) << sentence;
      EXPECT_EQ(trainer.pack().rows[0].step, 1);
      EXPECT_EQ(trainer.pack().batch, 1);
    }
  });
}

// |mean KL - C|: its gradient's sign needs the mean over the whole global batch before any leaf
// runs backward.
class CapacityObjective : public models::Objective {
 public:
  int64_t statistics() const override { return 1; }
  at::Tensor leaf_statistics(const models::ExampleTerms& terms) const override {
    return terms.kl.sum(at::IntArrayRef{1, 2}, false, at::kDouble).unsqueeze(1);
  }
  at::Tensor leaf_loss(const models::ExampleTerms& terms,
                       const models::ObjectiveContext& context) const override {
    const auto n = static_cast<double>(context.batch_size);
    const auto gap = context.statistics.select(1, 0) / n - 0.5;
    seen_ = gap.item<double>();
    return terms.reconstruction.sum(1, false, at::kDouble) / n +
           gap.sign() * (terms.kl.sum(at::IntArrayRef{1, 2}, false, at::kDouble) / n -
                         0.5 * static_cast<double>(terms.kl.size(1)) / n);
  }
  mutable double seen_ = 0;
};

TEST(Step, BatchStatisticsAreGlobalAndTheSameOnAnyNumberOfRanks) {
  const auto data = small_data(75, 20, 5, 7);
  const auto settings = small_settings("exact");
  std::mutex lock;
  at::Tensor expected;
  double expected_gap = 0;
  for (int size : {1, 2, 3}) {
    spawn_ranks(size, [&](comm::Communicator& ranks) {
      ThreadTeam team(1);
      const auto model = model_of(settings, 35);
      const CapacityObjective objective;
      const Optimizer optimizer(settings.optimizer);
      Pack pack{.rows = rows_of(settings, 35, 1),
                .parameters = at::full({1, model->layout().size()}, 0.01),
                .state = at::zeros({1, 1, model->layout().size()})};
      Step step({.model = *model,
                 .objective = objective,
                 .optimizer = optimizer,
                 .data = data.train,
                 .batch_size = 32,
                 .shuffle = true,
                 .scale = 1,
                 .leaves = 8},
                pack, ranks, team);
      for (int i = 0; i < 3; ++i) step.run(false);
      const std::lock_guard guard(lock);
      if (!expected.defined()) expected = pack.parameters.clone(), expected_gap = objective.seen_;
      EXPECT_TRUE(at::equal(pack.parameters, expected)) << size;
      EXPECT_EQ(objective.seen_, expected_gap);
    });
  }
  EXPECT_NE(expected_gap, 0);
}

TEST(Step, OneVoteStopsAllRanksAfterTheSameStep) {
  const auto data = small_data(75, 20, 5, 7);
  const auto settings = small_settings("fast");
  spawn_ranks(3, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    const auto model = model_of(settings, 35);
    const auto objective = models::make_elbo();
    const Optimizer optimizer(settings.optimizer);
    Pack pack{.rows = rows_of(settings, 35, 1),
              .parameters = at::full({1, model->layout().size()}, 0.01),
              .state = at::zeros({1, 1, model->layout().size()})};
    Step step({.model = *model,
               .objective = *objective,
               .optimizer = optimizer,
               .data = data.train,
               .batch_size = 32,
               .shuffle = true,
               .scale = 1,
               .leaves = 0},
              pack, ranks, team);
    EXPECT_EQ(step.run(false)[0][kStopVotes].item<double>(), 0);
    EXPECT_EQ(step.run(ranks.rank() == 1)[0][kStopVotes].item<double>(), 1);
  });
}

}  // namespace
}  // namespace elbow::trainer
