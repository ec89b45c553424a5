#include "trainer/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace elbow::trainer {
namespace {

nlohmann::json recorded() {
  std::ifstream file(ELBOW_SOURCE_DIR "/tests/reference/data/optimizer_sequences.json");
  return nlohmann::json::parse(file);
}

models::ParameterLayout layout_of(int64_t count) {
  models::ParameterLayout layout;
  layout.add({.shape = {count, 1}, .is_weight = true, .fan_in = count, .parts = {{"w", 0, 1}}});
  return layout;
}

at::Tensor row_of(const nlohmann::json& values, int64_t size) {
  auto row = at::zeros({size});
  for (size_t i = 0; i < values.size(); ++i) row[static_cast<int64_t>(i)] = values[i].get<float>();
  return row;
}

TEST(Optimizer, FollowsTheRecordedSequencesOfKeras2AndPyTorch) {
  const auto file = recorded();
  ThreadTeam team(2);
  int checked = 0;
  for (const auto& sequence : file["sequences"]) {
    OptimizerSettings settings{.kind = sequence["optimizer"].get<std::string>(),
                               .epsilon = sequence["epsilon"].get<double>()};
    if (settings.kind == "rmsprop") settings.rho = sequence["rho"].get<double>();
    if (settings.kind == "adam")
      settings.beta1 = sequence["beta1"].get<double>(),
      settings.beta2 = sequence["beta2"].get<double>();
    const Optimizer optimizer(settings);
    const auto layout = layout_of(static_cast<int64_t>(file["initial"].size()));
    auto parameters = row_of(file["initial"], layout.size());
    auto state = at::zeros({optimizer.states(), layout.size()});
    for (size_t step = 0; step < file["gradients"].size(); ++step) {
      optimizer.update(
          layout, {.lr = sequence["lr"].get<double>(), .l2 = 0, .step = static_cast<int64_t>(step)},
          row_of(file["gradients"][step], layout.size()), parameters, state, team);
      const auto& expected = sequence["parameters_float32"][step];
      for (size_t i = 0; i < expected.size(); ++i) {
        const double value = expected[i].get<double>();
        EXPECT_NEAR(parameters[static_cast<int64_t>(i)].item<double>(), value,
                    1e-6 * std::abs(value) + 1e-9)
            << settings.kind << " step " << step << " parameter " << file["columns"][i];
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 200);
}

TEST(Optimizer, L2PullsWeightsAndLeavesBiases) {
  models::ParameterLayout layout;
  layout.add({.shape = {3, 2}, .is_weight = true, .fan_in = 3, .parts = {{"w", 0, 2}}});
  layout.add({.shape = {2}, .is_weight = false, .fan_in = 3, .parts = {{"b", 0, 2}}});
  const Optimizer optimizer({.kind = "adam"});
  auto with = at::ones({layout.size()}), by_hand = at::ones({layout.size()});
  auto state_with = at::zeros({2, layout.size()}), state_by_hand = at::zeros({2, layout.size()});
  ThreadTeam team(2);
  auto gradient = at::full({layout.size()}, 0.25);
  auto penalised = gradient.clone();
  penalised.narrow(0, 0, 6).add_(2 * 0.1 * 1.0);  // d(l2 w^2)/dw at w = 1
  optimizer.update(layout, {.lr = 0.01, .l2 = 0.1, .step = 0}, gradient, with, state_with, team);
  optimizer.update(layout, {.lr = 0.01, .l2 = 0, .step = 0}, penalised, by_hand, state_by_hand,
                   team);
  EXPECT_TRUE(at::allclose(state_with.narrow(1, 0, 6), state_by_hand.narrow(1, 0, 6)));
  EXPECT_TRUE(at::allclose(with.narrow(0, 16, 2), by_hand.narrow(0, 16, 2)));
  EXPECT_TRUE(at::allclose(state_with.narrow(1, 16, 2), state_by_hand.narrow(1, 16, 2)));
  EXPECT_NEAR(sum_of_squared_weights(layout, at::full({layout.size()}, 2.0), team), 6 * 4.0, 1e-12);
}

TEST(Optimizer, AScaledGradientIsScaledBeforeL2IsAdded) {
  const auto layout = layout_of(5);
  ThreadTeam team(1);
  for (const char* kind : {"adam", "rmsprop"}) {
    const Optimizer optimizer({.kind = kind});
    auto scaled = at::ones({layout.size()}), by_hand = scaled.clone();
    auto state = at::zeros({optimizer.states(), layout.size()}), state_by_hand = state.clone();
    const auto gradient = at::arange(layout.size()).to(at::kFloat);
    optimizer.update(layout, {.lr = 0.1, .l2 = 0.3, .step = 2, .gradient_scale = 0.25}, gradient,
                     scaled, state, team);
    optimizer.update(layout, {.lr = 0.1, .l2 = 0.3, .step = 2}, 0.25 * gradient, by_hand,
                     state_by_hand, team);
    EXPECT_TRUE(at::equal(scaled, by_hand)) << kind;
    EXPECT_TRUE(at::equal(state, state_by_hand)) << kind;
  }
}

TEST(Optimizer, FindsOneBadNumberAnywhere) {
  ThreadTeam team(2);
  const int64_t size = 1003;
  for (int64_t place : {0, 500, 501, 502, 1002}) {
    for (float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      auto values = at::full({size}, 3e38f);
      EXPECT_TRUE(all_finite(values, team));
      values[place] = bad;
      EXPECT_FALSE(all_finite(values, team)) << place;
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
