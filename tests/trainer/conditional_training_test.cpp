// Conditional models through the whole step and its evaluation: the same bits everywhere, the GPU's
// path, and conditions that do what they say.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "comm/communicators.h"
#include "models/forms.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/condition_use.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using tests::small_data;
using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Dataset labelled_data() {
  auto data = small_data(75, 300, 6, 7);
  data.train.labels = (at::arange(75) % 4).to(at::kByte);
  data.test.labels = (at::arange(300) % 4).to(at::kByte);
  return data;
}

struct Variant {
  const char* name;
  Settings settings;
};

Settings base(const std::string& condition, const std::string& mask = "none") {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3, .condition = condition};
  settings.data.mask = mask;
  settings.train = {.epochs = 2, .batch_size = 32, .seed = 5, .reproducible = "exact", .leaves = 8};
  settings.optimizer = {.lr = 2e-3};
  return settings;
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  auto& label = all.emplace_back("label", base("label")).settings;
  label.model.condition_dropout = 0.3;
  label.model.prior = "learned";
  auto& column = all.emplace_back("column", base("mask", "column:3")).settings;
  column.data.condition_binarise = "stochastic";
  column.model.join = "add";
  column.model.join_layer = 1;
  column.model.path = {24, 20};
  auto& quadrants = all.emplace_back("quadrants", base("mask", "quadrants:1")).settings;
  quadrants.data.binarise = "stochastic";
  quadrants.model.path = {8};
  quadrants.model.prior = "learned";
  quadrants.model.prior_hidden = {7};
  quadrants.objective.kind = "iwae";
  quadrants.objective.samples = 3;
  auto& regressor = all.emplace_back("regressor", base("mask", "column:3")).settings;
  regressor.model.kind = "regressor";
  regressor.model.path = {8};
  all.emplace_back("bottleneck", base("mask", "row:2")).settings.model.kind = "bottleneck";
  auto& image = all.emplace_back("convolutional", base("mask", "half:left")).settings;
  image.model.network = "conv";
  image.model.channels = {3, 4};
  return all;
}

std::vector<Row> rows_of(const Settings& settings, int64_t count) {
  std::vector<Row> rows(count,
                        row_of(settings, condition_plan(settings, labelled_data()).observed));
  for (int64_t k = 0; k < count; ++k) {
    rows[k].seed += static_cast<uint64_t>(k);
    rows[k].lr *= 1.0 + static_cast<double>(k);
  }
  return rows;
}

struct Outcome {
  at::Tensor parameters;
  EpochResult last;
};

Outcome train_on(int size, int64_t threads, const Settings& settings,
                 const std::vector<Row>& rows) {
  const auto data = labelled_data();
  Outcome first;
  std::mutex lock;
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(threads);
    Trainer trainer(settings, rows, data, ranks, team);
    EpochResult last;
    for (int64_t epoch = 0; epoch < settings.train.epochs; ++epoch)
      last = trainer.run_epoch(nullptr, nullptr);
    const std::lock_guard guard(lock);
    if (!first.parameters.defined()) first = {trainer.pack().parameters.clone(), last};
    EXPECT_TRUE(at::equal(first.parameters, trainer.pack().parameters)) << ranks.rank();
  });
  return first;
}

TEST(ConditionalTraining, HasTheSameBitsOnAnyNumberOfRanksAndInAPack) {
  for (const auto& [name, settings] : variants()) {
    const auto rows = rows_of(settings, 2);
    const auto pack = train_on(1, 1, settings, rows);
    EXPECT_TRUE(pack.parameters.isfinite().all().item<bool>()) << name;
    for (const auto& [size, threads] : {std::pair{2, 1}, std::pair{3, 2}}) {
      const auto other = train_on(size, threads, settings, rows);
      EXPECT_TRUE(at::equal(other.parameters, pack.parameters)) << name << " on " << size;
      EXPECT_EQ(other.last.held_out[1].loss, pack.last.held_out[1].loss) << name;
    }
    const auto alone = train_on(1, 1, settings, {rows[1]});
    EXPECT_TRUE(at::equal(alone.parameters[0], pack.parameters[1])) << name;
    EXPECT_EQ(alone.last.held_out[0].elbo_nats, pack.last.held_out[1].elbo_nats) << name;
  }
}

TEST(ConditionalTraining, TakesTheDevicesPathToTheSameLosses) {
  for (const auto& [name, settings] : variants()) {
    const auto expected = train_on(1, 1, settings, rows_of(settings, 1)).last.held_out[0];
    const models::AtenForms forced;
    const auto device = train_on(2, 1, settings, rows_of(settings, 1)).last.held_out[0];
    EXPECT_NEAR(device.loss, expected.loss, 2e-4 * std::abs(expected.loss)) << name;
    EXPECT_NEAR(device.recon_nats, expected.recon_nats, 2e-4 * expected.recon_nats) << name;
  }
}

TEST(ConditionalTraining, OfARegressorHasNoKlAndAllItsWeightsLearn) {
  auto settings = base("mask", "column:3");
  settings.model.kind = "regressor";
  settings.model.path = {8};
  const auto data = labelled_data();
  const auto self = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, rows_of(settings, 1), data, *self, team);
  const auto before = trainer.pack().parameters.clone();
  const auto result = trainer.run_epoch(nullptr, nullptr);
  EXPECT_EQ(result.held_out[0].kl_nats, 0);
  EXPECT_EQ(result.held_out[0].elbo_nats, -result.held_out[0].recon_nats);
  EXPECT_FALSE(result.held_out[0].posterior.has_value());
  const auto& layout = trainer.model().layout();
  for (size_t i = 0; i < layout.parameters().size(); ++i) {
    const auto index = static_cast<int>(i);
    EXPECT_FALSE(
        at::equal(layout.view(before, index), layout.view(trainer.pack().parameters, index)))
        << layout.parameters()[i].parts[0].name;
  }
}

// --- Known truth
// -----------------------------------------------------------------------------------

// Drawn shapes follow from their attributes, so a model that is given them must draw what it is
// told: as bright as the pen, and where the shape lies.
class DrawnShapesTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSide = 12, kBrightness = 16, kX = 10, kY = 11;

  DrawnShapesTest() {
    settings_.data.source = "synthetic";
    settings_.data.examples = 20000;
    settings_.data.test_examples = 256;
    settings_.data.height = settings_.data.width = kSide;
    settings_.model = {.encoder = {64},
                       .decoder = {128},
                       .latent = 4,
                       .activation = "relu",
                       .condition = "attributes",
                       .path = {64}};
    settings_.train.batch_size = 100;
    settings_.train.threads = 1;
    settings_.optimizer.lr = 3e-3;
    data_ = load_dataset(settings_.data);
    trainer_.emplace(settings_, std::vector{row_of(settings_, kSide * kSide)}, data_, *self_,
                     team_);
    trainer_->run_steps(800);
    plan_ = condition_plan(settings_, data_);
    x_ = at::empty({256, kSide * kSide});
    c_ = at::empty({256, plan_.width});
    std::vector<int64_t> indices(256);
    for (int64_t i = 0; i < 256; ++i) indices[i] = i;
    gather_pair(data_.test, indices, {.measured = true}, plan_, x_, c_);
  }

  at::Tensor decoded(const at::Tensor& c) {
    const models::BoundParameters bound(trainer_->model().layout(), trainer_->pack().parameters);
    const auto z = at::zeros({1, c.size(0), 4});
    return trainer_->model().decode(bound, z, c.unsqueeze(0)).select(0, 0);
  }

  // Mean over pixels of the pen's way to the right, for each picture.
  static at::Tensor centre_x(const at::Tensor& pictures) {
    const auto by_column = pictures.view({-1, kSide, kSide}).sum(1);
    return (by_column * at::arange(kSide)).sum(1) / by_column.sum(1);
  }

  static double correlation(const at::Tensor& a, const at::Tensor& b) {
    const auto u = a - a.mean(), v = b - b.mean();
    return ((u * v).sum() / (u.square().sum() * v.square().sum()).sqrt()).item<double>();
  }

  Settings settings_;
  Dataset data_;
  ConditionPlan plan_;
  std::unique_ptr<comm::Communicator> self_ = comm::make_self();
  ThreadTeam team_{1};
  std::optional<Trainer> trainer_;
  at::Tensor x_, c_;
};

TEST_F(DrawnShapesTest, AreDrawnAsTheirAttributesSay) {
  auto dim = c_.clone(), bright = c_.clone();
  dim.select(1, kBrightness).fill_(-1);
  bright.select(1, kBrightness).fill_(1);
  const double ratio = (decoded(bright).sum() / decoded(dim).sum()).item<double>();
  EXPECT_GT(ratio, 1.6) << "the pen is twice as bright in truth";
  EXPECT_LT(ratio, 2.4);
  EXPECT_GT(correlation(centre_x(decoded(c_)), centre_x(x_)), 0.9);
  // What is measured of them agrees: their own attributes explain them, another's do not.
  const auto objective = models::make_elbo();
  const EvaluationParts parts{.model = trainer_->model(),
                              .data = data_.test,
                              .split = SplitId::kTest,
                              .request = {},
                              .objective = *objective,
                              .scale = 1,
                              .condition = &plan_};
  const auto use = condition_use(parts, trainer_->pack().rows[0], trainer_->pack().parameters, 256,
                                 20, *self_, team_);
  EXPECT_GT(use.nats, 5);
  EXPECT_GT(use.nats, 5 * use.standard_error);
}

}  // namespace
}  // namespace elbow::trainer
