// The path that a GPU takes, on the CPU: models::AtenForms makes the CPU a device like any other,
// so that gradients and sums travel apart, and ATen adds, updates and checks.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <optional>

#include "models/forms.h"
#include "models/mkl.h"
#include "tests/support/small_data.h"
#include "tests/support/spawn_ranks.h"
#include "trainer/trainer.h"

namespace elbow::trainer {
namespace {

using models::AtenForms;
using tests::small_data;
using tests::spawn_ranks;

// Before the first product of this process.
const std::string kBranch = models::fix_mkl_branch(models::best_mkl_branch());

Settings small_settings(const std::string& mode, const std::string& optimizer) {
  Settings settings;
  settings.model = {.encoder = {24}, .decoder = {20}, .latent = 3};
  settings.train = {.epochs = 1, .batch_size = 32, .seed = 5, .reproducible = mode, .leaves = 8};
  settings.optimizer = {.kind = optimizer, .lr = 2e-3};
  settings.objective.l2 = 1e-4;
  return settings;
}

struct Outcome {
  at::Tensor parameters;
  EpochResult epoch;
};

// One epoch of 331 examples, the last batch of 11; the outcome must be every rank's.
Outcome train_on(int size, const Settings& settings) {
  const auto data = small_data(331, 300, 5, 7);
  std::optional<Outcome> first;
  std::mutex lock;
  spawn_ranks(size, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, {row_of(settings, 35)}, data, ranks, team);
    const auto epoch = trainer.run_epoch(nullptr, nullptr);
    const std::lock_guard guard(lock);
    if (!first) first = {trainer.pack().parameters.clone(), epoch};
    EXPECT_TRUE(at::equal(trainer.pack().parameters, first->parameters)) << ranks.rank();
    EXPECT_EQ(epoch.held_out[0].loss, first->epoch.held_out[0].loss);
  });
  return *first;
}

void expect_close(double value, double expected) {
  EXPECT_NEAR(value, expected, 1e-4 * std::abs(expected));
}

class DevicePath : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(DevicePath, GivesTheLossesOfTheCpuOverAnEpoch) {
  const auto [mode, optimizer] = GetParam();
  const auto settings = small_settings(mode, optimizer);
  const auto expected = train_on(1, settings);
  const AtenForms forced;
  for (int size : {1, 2}) {
    const auto device = train_on(size, settings);
    expect_close(device.epoch.train[0].loss, expected.epoch.train[0].loss);
    expect_close(device.epoch.train[0].kl_nats, expected.epoch.train[0].kl_nats);
    expect_close(device.epoch.held_out[0].loss, expected.epoch.held_out[0].loss);
    EXPECT_EQ(device.epoch.train[0].examples, 331);
    EXPECT_FALSE(at::equal(device.parameters, expected.parameters)) << "not another path";
    EXPECT_TRUE(at::allclose(device.parameters, expected.parameters, 1e-3, 1e-4));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, DevicePath,
                         ::testing::Values(std::pair{"fast", "rmsprop"}, std::pair{"fast", "adam"},
                                           std::pair{"exact", "rmsprop"}),
                         [](const auto& info) {
                           return std::string(info.param.first) + "_" + info.param.second;
                         });

TEST(DevicePathObjectives, GiveTheLossesOfTheCpuOverAnEpoch) {
  std::vector<Settings> variants(5, small_settings("fast", "adam"));
  variants[4].model.network = "conv";
  variants[4].model.channels = {3, 4};
  variants[0].objective.kind = "iwae";
  variants[0].objective.samples = 3;
  variants[1].objective.free_bits = 0.1;
  variants[1].model.posterior = "softplus";
  variants[2].model.likelihood = "gaussian_optimal";
  variants[2].objective.sigma_wt = 0.5;
  variants[3].objective.kind = "dreg";
  variants[3].objective.samples = 3;
  variants[3].model.likelihood = "gaussian_learned";
  variants[3].optimizer.clip_norm = 1;
  for (const auto& settings : variants) {
    const auto expected = train_on(1, settings);
    const AtenForms forced;
    const auto device = train_on(2, settings);
    expect_close(device.epoch.train[0].loss, expected.epoch.train[0].loss);
    expect_close(device.epoch.held_out[0].loss, expected.epoch.held_out[0].loss);
    expect_close(device.epoch.held_out[0].recon_nats, expected.epoch.held_out[0].recon_nats);
  }
}

TEST(DevicePathExact, GivesTheSameBitsOnAnyNumberOfRanks) {
  const auto settings = small_settings("exact", "adam");
  const AtenForms forced;
  const auto expected = train_on(1, settings);
  for (int size : {2, 3}) {
    const auto other = train_on(size, settings);
    EXPECT_TRUE(at::equal(other.parameters, expected.parameters)) << size;
    EXPECT_EQ(other.epoch.train[0].loss, expected.epoch.train[0].loss);
    EXPECT_EQ(other.epoch.held_out[0].sigma_std, expected.epoch.held_out[0].sigma_std);
  }
}

TEST(DevicePathSums, GradientAndSumsLieApartOnlyOnADevice) {
  spawn_ranks(1, [](comm::Communicator& ranks) {
    ThreadTeam team(1);
    const SumShape shape{.rows = 1, .parameters = 32, .numbers = 3};
    const auto apart = [&] {
      auto sum = make_fast_sum(ranks, team, shape);
      const auto& place = sum->place(0);
      return !place.gradient.storage().is_alias_of(place.sums.storage());
    };
    EXPECT_FALSE(apart());
    const AtenForms forced;
    EXPECT_TRUE(apart());
  });
}

TEST(DevicePathOptimizer, FindsInfinityAndNanAnywhere) {
  ThreadTeam team(1);
  const AtenForms forced;
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    auto values = at::ones({1, 48});
    EXPECT_TRUE(all_finite(values, team));
    values[0][47] = bad;
    EXPECT_FALSE(all_finite(values, team));
  }
}

TEST(DevicePathStep, ANonFiniteRowIsNamedWithItsFirstExample) {
  auto settings = small_settings("fast", "rmsprop");
  settings.optimizer.lr = 1e30;  // the first update ruins the row
  const auto data = small_data(75, 20, 5, 7);
  const AtenForms forced;
  spawn_ranks(2, [&](comm::Communicator& ranks) {
    ThreadTeam team(1);
    Trainer trainer(settings, {row_of(settings, 35)}, data, ranks, team);
    try {
      trainer.run_epoch(nullptr, nullptr);
      FAIL() << "no error";
    } catch (const NonFinite& error) {
      const std::string sentence = error.what();
      EXPECT_NE(sentence.find("step 2"), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("position 32"), std::string::npos) << sentence;
    }
  });
}

}  // namespace
}  // namespace elbow::trainer
