// Every gradient against finite differences in float64, per row.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "models/model.h"

namespace elbow::models {
namespace {

// Loss [rows] of a small stacked VAE as a function of its parameters.
class GradientTest : public ::testing::TestWithParam<Activation> {
 protected:
  static constexpr int64_t kRows = 2, kBatch = 5, kObserved = 7, kLatent = 3;

  GradientTest() : model_(make_vae({kObserved, {6, 4}, kLatent, {5}, GetParam()})) {
    at::manual_seed(3);
    values_ = 0.5 * at::randn({kRows, model_->layout().size()}, at::kDouble);
    batch_ = {at::rand({kRows, kBatch, kObserved}, at::kDouble),
              at::randn({kRows, kBatch, kLatent}, at::kDouble)};
    context_ = {at::tensor({0.7, 2.5}, at::kDouble),
                at::tensor({1.0, 1.0 / kObserved}, at::kDouble),
                kBatch + 1,
                {}};
  }

  at::Tensor loss(const at::Tensor& values, const at::Tensor& gradients) const {
    at::AutoGradMode recorded(gradients.defined());
    const BoundParameters parameters(model_->layout(), values, gradients);
    const auto loss = make_elbo()->leaf_loss(model_->terms(parameters, batch_), context_);
    if (gradients.defined()) torch::autograd::backward({loss.sum()}, {});
    return loss.detach();
  }

  std::unique_ptr<Model> model_;
  at::Tensor values_;
  Batch batch_;
  ObjectiveContext context_;
};

TEST_P(GradientTest, AgreesWithFiniteDifferencesInEveryRow) {
  auto gradients = at::zeros_like(values_);
  loss(values_, gradients);
  const double h = 1e-6;
  for (const auto& parameter : model_->layout().parameters()) {
    for (int64_t i = 0; i < parameter.count(); ++i) {
      const int64_t p = parameter.offset + i;
      auto above = values_.clone(), below = values_.clone();
      above.select(1, p).add_(h);
      below.select(1, p).sub_(h);
      const auto slope = (loss(above, {}) - loss(below, {})) / (2 * h);
      for (int64_t k = 0; k < kRows; ++k) {
        const double expected = slope[k].item<double>();
        EXPECT_NEAR(gradients[k][p].item<double>(), expected, 1e-7 + 1e-6 * std::abs(expected))
            << parameter.parts[0].name << " element " << i << " row " << k;
      }
    }
  }
}

TEST_P(GradientTest, LossOfARowDoesNotDependOnItsNeighbours) {
  const auto before = loss(values_, {});
  auto poisoned = values_.clone();
  poisoned.select(0, 1).fill_(std::numeric_limits<double>::quiet_NaN());
  const auto after = loss(poisoned, {});
  EXPECT_EQ(after[0].item<double>(), before[0].item<double>());
  EXPECT_TRUE(std::isnan(after[1].item<double>()));
}

INSTANTIATE_TEST_SUITE_P(Activations, GradientTest,
                         ::testing::Values(Activation::kTanh, Activation::kSigmoid,
                                           Activation::kSoftplus, Activation::kIdentity,
                                           Activation::kRelu));

}  // namespace
}  // namespace elbow::models
