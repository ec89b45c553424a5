// What other libraries' optimizers make of fixed gradients: recorded by
// tests/reference/optimizer_sequences.py.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/optimizer.h"

namespace elbow::trainer {
namespace {

using Steps = std::vector<std::vector<double>>;  // [steps][parameters]

nlohmann::json recorded() {
  std::ifstream file(ELBOW_SOURCE_DIR "/tests/reference/data/optimizer_sequences.json");
  return nlohmann::json::parse(file);
}

OptimizerSettings settings_of(const nlohmann::json& sequence) {
  OptimizerSettings settings;
  settings.kind = sequence["optimizer"];
  settings.lr = sequence["lr"];
  settings.epsilon = sequence["epsilon"].get<double>();
  settings.rho = sequence.value("rho", settings.rho);
  settings.beta1 = sequence.value("beta1", settings.beta1);
  settings.beta2 = sequence.value("beta2", settings.beta2);
  return settings;
}

// The parameters after each step of elbow's optimizer.
Steps sequence_of(const OptimizerSettings& settings, const std::vector<double>& initial,
                  const Steps& gradients) {
  const auto count = static_cast<int64_t>(initial.size());
  models::ParameterLayout layout;
  layout.add({.shape = {count}, .is_weight = true, .fan_in = 1, .parts = {{"weight", 0, count}}});
  auto parameters = at::zeros({layout.size()}), gradient = at::zeros({layout.size()});
  const Optimizer optimizer(settings);
  auto state = at::zeros({optimizer.states(), layout.size()});
  ThreadTeam team(/*threads=*/2);
  std::copy(initial.begin(), initial.end(), parameters.mutable_data_ptr<float>());
  Steps after;
  for (size_t step = 0; step < gradients.size(); ++step) {
    std::copy(gradients[step].begin(), gradients[step].end(), gradient.mutable_data_ptr<float>());
    optimizer.update(layout, {.lr = settings.lr, .l2 = 0, .step = static_cast<int64_t>(step)},
                     gradient, parameters, state, team);
    const float* now = parameters.const_data_ptr<float>();
    after.emplace_back(now, now + count);
  }
  return after;
}

void expect_close(const Steps& actual, const Steps& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t step = 0; step < expected.size(); ++step) {
    for (size_t i = 0; i < expected[step].size(); ++i) {
      EXPECT_NEAR(actual[step][i], expected[step][i], tolerance * std::abs(expected[step][i]))
          << "step " << step << ", parameter " << i;
    }
  }
}

void check(const std::string& kind, const char* library) {
  const auto record = recorded();
  int checked = 0;
  for (const auto& sequence : record["sequences"]) {
    if (sequence["optimizer"] != kind) continue;
    SCOPED_TRACE(sequence["lr"].dump() + ", epsilon " + sequence["epsilon"].dump());
    const auto actual = sequence_of(settings_of(sequence), record["initial"], record["gradients"]);
    expect_close(actual, sequence["parameters_float64"], 1e-6);
    expect_close(actual, sequence[library], 1e-6);
    ++checked;
  }
  EXPECT_GE(checked, 4);
}

TEST(Optimizer, FollowsRmspropOfKeras2) { check("rmsprop", "parameters_keras"); }

TEST(Optimizer, FollowsAdamOfPyTorch) { check("adam", "parameters_float32"); }

}  // namespace
}  // namespace elbow::trainer
