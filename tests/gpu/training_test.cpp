// Training on a GPU against training on the CPU. Skipped, with the reason, where there is no GPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "comm/communicators.h"
#include "tests/gpu/gpu.h"
#include "tests/support/small_data.h"
#include "tests/support/temporary_directory.h"
#include "trainer/trainer.h"
#include "trainer/weights_file.h"

namespace elbow::trainer {
namespace {

using tests::kGpu;
using tests::small_data;

class GpuTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/1);  // before cuBLAS starts
    if (const auto reason = tests::why_no_gpu(); !reason.empty()) GTEST_SKIP() << reason;
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  }
};

Settings small_settings(const std::string& mode) {
  Settings settings;
  settings.model = {.encoder = {64}, .decoder = {48}, .latent = 3};
  settings.train = {.epochs = 1, .batch_size = 64, .seed = 5, .reproducible = mode, .leaves = 4};
  settings.objective.l2 = 1e-4;
  return settings;
}

struct Outcome {
  at::Tensor parameters;  // where it was trained
  EpochResult epoch;
};

Outcome train_on(at::Device device, const Settings& settings) {
  const auto data = small_data(2000, 500, 14, 14);
  auto self = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, {row_of(settings, 196)}, data, *self, team, device);
  auto epoch = trainer.run_epoch(nullptr, nullptr);
  return {trainer.pack().parameters, epoch};
}

TEST_F(GpuTraining, GivesTheLossesOfTheCpuOverAnEpoch) {
  for (const auto* mode : {"fast", "exact"}) {
    const auto cpu = train_on(at::kCPU, small_settings(mode));
    const auto gpu = train_on(kGpu, small_settings(mode));
    EXPECT_TRUE(gpu.parameters.is_cuda());
    const auto& expected = cpu.epoch;
    EXPECT_NEAR(gpu.epoch.train[0].loss, expected.train[0].loss, 1e-4 * expected.train[0].loss);
    EXPECT_NEAR(gpu.epoch.held_out[0].loss, expected.held_out[0].loss,
                1e-4 * expected.held_out[0].loss);
    EXPECT_EQ(gpu.epoch.train[0].examples, 2000);
    EXPECT_EQ(gpu.epoch.held_out[0].examples, 500);
  }
}

TEST_F(GpuTraining, ExactGivesTheSameBitsTwice) {
  const auto settings = small_settings("exact");
  const auto once = train_on(kGpu, settings), again = train_on(kGpu, settings);
  EXPECT_TRUE(at::equal(once.parameters, again.parameters));
  EXPECT_EQ(once.epoch.train[0].loss, again.epoch.train[0].loss);
  EXPECT_EQ(once.epoch.held_out[0].elbo_nats, again.epoch.held_out[0].elbo_nats);
}

TEST_F(GpuTraining, SavedWeightsAreThoseOfTheGpu) {
  const auto settings = small_settings("fast");
  const auto trained = train_on(kGpu, settings);
  const auto model = model_of(settings, 196);
  const tests::TemporaryDirectory folder;
  const auto file = folder.path() / "model.safetensors";
  write_safetensors(file, model->layout().to_named(trained.parameters.select(0, 0)));
  auto loaded = at::zeros({model->layout().size()});
  model->layout().from_named(read_safetensors(file).tensors, loaded);
  EXPECT_TRUE(at::equal(loaded, trained.parameters.select(0, 0).cpu()));
}

TEST_F(GpuTraining, ANonFiniteRowIsNamedAndItsWeightsStay) {
  auto settings = small_settings("fast");
  settings.optimizer.lr = 1e30;
  const auto data = small_data(200, 20, 14, 14);
  auto self = comm::make_self();
  ThreadTeam team(1);
  Trainer trainer(settings, {row_of(settings, 196)}, data, *self, team, kGpu);
  EXPECT_THROW(trainer.run_epoch(nullptr, nullptr), NonFinite);
  EXPECT_TRUE(at::isfinite(trainer.pack().parameters).all().item<bool>());
}

}  // namespace
}  // namespace elbow::trainer
