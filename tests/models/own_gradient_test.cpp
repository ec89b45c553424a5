// A dense network's own gradient, without autograd, has the bits of autograd's.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/forms.h"
#include "models/model.h"
#include "models/objective.h"

namespace elbow::models {
namespace {

constexpr int64_t kRows = 4, kBatch = 6, kObserved = 40;

struct Case {
  std::string name;
  VaeShape shape;
  int64_t samples = 1;
  at::ScalarType type = at::kFloat;
  Rows rows = Rows::kTrials;
  bool aten_forms = false;
};

VaeShape dense(Activation activation = Activation::kTanh) {
  return {.observed = kObserved,
          .encoder = {9, 7},
          .latent = 3,
          .decoder = {8},
          .activation = activation};
}

VaeShape with(VaeShape shape, Likelihood likelihood, PosteriorScale posterior) {
  shape.likelihood = likelihood;
  shape.posterior = posterior;
  return shape;
}

VaeShape sparse(VaeShape shape) {
  shape.mostly_zeros = true;
  return shape;
}

VaeShape rounded(VaeShape shape) {
  shape.precision = Precision::kBfloat16;
  return shape;
}

class OwnGradient : public ::testing::TestWithParam<Case> {
 protected:
  OwnGradient() : model_(make_vae(GetParam().shape)) {
    if (GetParam().aten_forms) forms_.emplace();
    at::manual_seed(7);
    const auto type = GetParam().type;
    const bool leaves = GetParam().rows == Rows::kLeaves;
    values_ =
        (0.4 * at::randn({leaves ? 1 : kRows, model_->layout().size()}, at::kDouble)).to(type);
    auto x = at::rand({kRows, kBatch, kObserved}, at::kDouble);
    if (GetParam().shape.mostly_zeros) x = x * (at::rand_like(x) < 0.2);
    batch_ = {x.to(type), at::randn({kRows, kBatch * GetParam().samples, 3}, at::kDouble).to(type)};
    const auto weights = at::linspace(0.3, 2.5, leaves ? 1 : kRows, at::kDouble);
    context_ = {
        .kl_weight = weights, .scale = 1 / (1 + weights), .batch_size = kBatch, .statistics = {}};
  }

  // Terms, loss, gradients and what is known of their size.
  using Found = std::vector<std::pair<std::string, at::Tensor>>;

  template <class Differentiate>
  Found found(const Differentiate& differentiate) const {
    const auto gradients = at::zeros_like(values_);
    const BoundParameters parameters(model_->layout(), values_.expand({kRows, -1}), gradients,
                                     GetParam().shape.precision == Precision::kBfloat16
                                         ? values_.to(at::kBFloat16).expand({kRows, -1})
                                         : at::Tensor(),
                                     GetParam().rows);
    const auto [terms, loss] = differentiate(parameters);
    return {{"reconstruction", terms.reconstruction.detach()},
            {"kl", terms.kl.detach()},
            {"mean", terms.posterior_mean.detach()},
            {"scale", terms.posterior_scale.detach()},
            {"z", terms.z.detach()},
            {"loss", loss.detach()},
            {"gradients", gradients},
            {"bounds", parameters.bounds().clone()}};
  }

  std::optional<AtenForms> forms_;
  std::unique_ptr<Model> model_;
  at::Tensor values_;
  Batch batch_;
  ObjectiveContext context_;
};

TEST_P(OwnGradient, HasTheBitsOfAutograd) {
  const auto objective = make_objective({.samples = GetParam().samples});
  ASSERT_TRUE(model_->knows_gradient());
  ASSERT_TRUE(objective->is_linear());
  const auto expected = found([&](const BoundParameters& parameters) {
    const at::AutoGradMode recorded(true);
    const auto terms = model_->terms(parameters, batch_);
    const auto loss = objective->leaf_loss(terms, context_);
    torch::autograd::backward({loss.sum()}, {});
    return std::pair(terms, loss);
  });
  const auto own = found([&](const BoundParameters& parameters) {
    const auto loss = objective->linear_loss(context_);
    const auto terms = model_->differentiate(parameters, batch_, loss);
    return std::pair(terms, loss.of(terms));
  });
  for (size_t i = 0; i < own.size(); ++i) {
    const auto& [name, values] = own[i];
    EXPECT_TRUE(at::equal(values, expected[i].second)) << name;
    EXPECT_TRUE(name == "bounds" || values.abs().sum().item<double>() > 0) << name;
  }
}

// What is said to be written is what it stays to the end.
TEST_P(OwnGradient, TellsWhichColumnsAreWritten) {
  const auto objective = make_objective({.samples = GetParam().samples});
  const bool leaves = GetParam().rows == Rows::kLeaves;
  auto gradients = at::full({leaves ? 1 : kRows, model_->layout().size()}, 77.0, values_.options());
  const BoundParameters parameters(model_->layout(), values_.expand({kRows, -1}), gradients,
                                   GetParam().shape.precision == Precision::kBfloat16
                                       ? values_.to(at::kBFloat16).expand({kRows, -1})
                                       : at::Tensor(),
                                   GetParam().rows);
  std::vector<int64_t> columns{model_->layout().size()};
  std::vector<at::Tensor> found;
  model_->differentiate(parameters, batch_, objective->linear_loss(context_), [&](int64_t column) {
    EXPECT_LT(column, columns.back());
    columns.push_back(column);
    found.push_back(gradients.clone());
  });
  EXPECT_EQ(columns.size(), 1 + model_->layout().parameters().size() / 2);
  EXPECT_EQ(columns.back(), 0);
  for (size_t i = 0; i < found.size(); ++i) {
    const int64_t begin = columns[i + 1], count = gradients.size(1) - begin;
    EXPECT_TRUE(at::equal(found[i].narrow(1, begin, count), gradients.narrow(1, begin, count)))
        << begin;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, OwnGradient,
    ::testing::Values(Case{"tanh", dense()},
                      Case{"relu_three_samples_continuous_bernoulli_softplus",
                           with(dense(Activation::kRelu), Likelihood::kContinuousBernoulli,
                                PosteriorScale::kSoftplus),
                           3},
                      Case{"no_hidden_layers",
                           {.observed = kObserved, .encoder = {}, .latent = 3, .decoder = {}}},
                      Case{"zeros_left_out", sparse(dense(Activation::kSigmoid))},
                      Case{"bfloat16", rounded(dense(Activation::kRelu))},
                      Case{"float64", sparse(dense(Activation::kSoftplus)), 2, at::kDouble},
                      Case{"leaves", sparse(dense()), 1, at::kFloat, Rows::kLeaves},
                      Case{"aten_forms", dense(), 2, at::kFloat, Rows::kTrials, true}),
    [](const auto& info) { return info.param.name; });

TEST(OwnGradientOf, OtherNetworksAndObjectivesIsLeftToAutograd) {
  auto gaussian = dense();
  gaussian.likelihood = Likelihood::kGaussianLearned;
  auto conditional = dense();
  conditional.condition = ConditionShape{.width = 3};
  for (const auto& shape : {gaussian, conditional}) {
    const auto model = make_vae(shape);
    EXPECT_FALSE(model->knows_gradient());
    EXPECT_THROW(
        model->differentiate(
            BoundParameters(model->layout(), at::zeros({1, model->layout().size()})), {}, {}),
        std::exception);
  }
  for (const ObjectiveShape& shape :
       {ObjectiveShape{.bound = Bound::kIwae, .samples = 2},
        ObjectiveShape{.kl = KlForm::kFreeBits}, ObjectiveShape{.pooled_pixels = 4},
        ObjectiveShape{.sigma_penalty = true}})
    EXPECT_FALSE(make_objective(shape)->is_linear());
}

}  // namespace
}  // namespace elbow::models
