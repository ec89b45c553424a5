// The CPU's loops and the ATen forms that other devices take: the same values and gradients.
#include "models/forms.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <optional>
#include <thread>
#include <tuple>

#include "models/gaussian_latent.h"
#include "models/likelihood.h"
#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {
namespace {

constexpr int64_t kRows = 2, kBatch = 5;

// What a computation returns, values and gradients alike, in one list.
using Computation = std::function<std::vector<at::Tensor>(at::ScalarType)>;

// Largest difference, relative to the largest number.
double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

void expect_same(const Computation& compute) {
  for (const auto& [type, tolerance] :
       {std::pair{at::kFloat, 2e-6}, std::pair{at::kDouble, 1e-12}}) {
    const auto loops = compute(type);
    std::optional<AtenForms> forced(std::in_place);
    const auto aten = compute(type);
    forced.reset();
    ASSERT_EQ(loops.size(), aten.size());
    for (size_t i = 0; i < loops.size(); ++i) {
      EXPECT_EQ(aten[i].scalar_type(), type);
      EXPECT_LT(difference(aten[i], loops[i]), tolerance) << "tensor " << i << ", " << type;
    }
  }
}

at::Tensor numbers(at::IntArrayRef shape, at::ScalarType type, double spread = 1) {
  return (spread * at::randn(shape, at::kDouble)).to(type);
}

class FormsOfActivation : public ::testing::TestWithParam<Activation> {};

TEST_P(FormsOfActivation, LinearIsTheSame) {
  ParameterLayout layout;
  const Linear linear(layout, 7, {{"a", 4}, {"b", 3}}, GetParam());
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(1);
    const auto values = numbers({kRows, layout.size()}, type, 3);
    auto gradients = at::zeros_like(values);
    auto x = numbers({kRows, kBatch, 7}, type).requires_grad_();
    const auto y = linear.forward(BoundParameters(layout, values, gradients), x, true);
    torch::autograd::backward({y}, {numbers(y.sizes(), type)});
    return {y.detach(), x.grad(), gradients};
  });
}

// ... also where exp() of a pre-activation is infinite.
TEST_P(FormsOfActivation, LargePreActivationsAreTheSame) {
  ParameterLayout layout;
  const Linear linear(layout, 1, {{"a", 4}}, GetParam());
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    auto values = at::zeros({1, layout.size()}, type);
    values.narrow(1, layout.parameters()[linear.weight()].offset, 4)
        .copy_(at::tensor({-100.0, -1.0, 1.0, 100.0}, at::kDouble));
    at::NoGradGuard no_gradient;
    return {linear.forward(BoundParameters(layout, values), at::ones({1, 1, 1}, type), false)};
  });
}

INSTANTIATE_TEST_SUITE_P(Activations, FormsOfActivation,
                         ::testing::Values(Activation::kIdentity, Activation::kTanh,
                                           Activation::kRelu, Activation::kSigmoid,
                                           Activation::kSoftplus));

class FormsOfPosterior
    : public ::testing::TestWithParam<std::tuple<PosteriorScale, LogRatio, double>> {};

TEST_P(FormsOfPosterior, GaussianLatentIsTheSame) {
  const auto [kind, ratio, spread] = GetParam();
  const int64_t samples = 3;
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(2);
    auto head = numbers({kRows, kBatch, 6}, type, spread).requires_grad_();
    const auto noise = numbers({kRows, kBatch * samples, 3}, type);
    const auto latent = sample_gaussian(head, noise, kind, ratio);
    std::vector<at::Tensor> out{latent.z, latent.kl, latent.scale}, gradients;
    if (ratio != LogRatio::kNone) out.push_back(latent.log_ratio);
    for (auto& tensor : out) gradients.push_back(numbers(tensor.sizes(), type));
    torch::autograd::backward(out, gradients);
    for (auto& tensor : out) tensor = tensor.detach();
    out.insert(out.end(), {latent.mean, head.grad()});
    return out;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FormsOfPosterior,
    ::testing::Combine(::testing::Values(PosteriorScale::kLogVariance, PosteriorScale::kSoftplus,
                                         PosteriorScale::kSoftplusSquared),
                       ::testing::Values(LogRatio::kNone, LogRatio::kTotal, LogRatio::kPathwise),
                       ::testing::Values(2.0, 9.0)));

TEST(Forms, PixelLossesAreTheSame) {
  for (auto* of : {bernoulli_nats, continuous_bernoulli_nats, half_squared_error}) {
    for (const double spread : {0.2, 20.0}) {
      expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
        at::manual_seed(3);
        auto output = numbers({kRows, kBatch * 2, 19}, type, spread).requires_grad_();
        const auto x = at::rand({kRows, kBatch, 19}, at::kDouble).to(type);
        const auto nats = of(output, x);
        torch::autograd::backward({nats}, {numbers(nats.sizes(), type)});
        return {nats.detach(), output.grad()};
      });
    }
  }
}

class FormsOfObjective : public ::testing::TestWithParam<std::pair<Likelihood, ObjectiveShape>> {};

TEST_P(FormsOfObjective, AWholeVaeIsTheSame) {
  const auto& [likelihood, shape] = GetParam();
  const auto objective = make_objective(shape);
  const auto model = make_vae({.observed = 11,
                               .encoder = {8, 6},
                               .latent = 4,
                               .decoder = {7},
                               .activation = Activation::kTanh,
                               .likelihood = likelihood});
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(4);
    const auto values = numbers({kRows, model->layout().size()}, type, 0.5);
    auto gradients = at::zeros_like(values);
    const Batch batch{at::rand({kRows, kBatch, 11}, at::kDouble).to(type),
                      numbers({kRows, kBatch * shape.samples, 4}, type), objective->log_ratio()};
    const auto raw = model->terms(BoundParameters(model->layout(), values, gradients), batch);
    ObjectiveContext context{.kl_weight = at::tensor({0.7, 2.5}, at::kDouble),
                             .scale = at::ones({kRows}, at::kDouble),
                             .batch_size = kBatch,
                             .statistics = objective->leaf_statistics(raw),
                             .capacity = at::full({kRows}, 0.8, at::kDouble),
                             .free_bits = at::full({kRows}, 0.4, at::kDouble)};
    const auto terms = objective->settled(raw, context);
    const auto loss = objective->leaf_loss(terms, context);
    torch::autograd::backward({loss.sum()}, {});
    return {loss.detach().to(type), terms.kl.detach(), gradients};
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, FormsOfObjective,
    ::testing::Values(
        std::pair{Likelihood::kBernoulli, ObjectiveShape{}},
        std::pair{Likelihood::kContinuousBernoulli, ObjectiveShape{.samples = 3}},
        std::pair{Likelihood::kGaussian, ObjectiveShape{.kl = KlForm::kBatchCapacity}},
        std::pair{Likelihood::kGaussianLearned,
                  ObjectiveShape{.bound = Bound::kIwae, .samples = 3}},
        std::pair{
            Likelihood::kGaussianOptimal,
            ObjectiveShape{.kl = KlForm::kFreeBits, .latent = 4, .groups = 2, .pooled_pixels = 11}},
        std::pair{Likelihood::kBernoulli, ObjectiveShape{.bound = Bound::kDreg, .samples = 3}}));

TEST(Forms, AConditionalVaeWithALearnedPriorIsTheSame) {
  const auto objective = make_objective({.bound = Bound::kIwae, .samples = 3});
  const auto model = make_vae({.observed = 11,
                               .encoder = {8, 6},
                               .latent = 4,
                               .decoder = {7},
                               .activation = Activation::kTanh,
                               .condition = ConditionShape{.width = 3,
                                                           .path = {5, 6, 7},
                                                           .join = Join::kAdd,
                                                           .encoder_layer = 2,
                                                           .learned_prior = true}});
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(5);
    const auto values = numbers({kRows, model->layout().size()}, type, 0.8);
    auto gradients = at::zeros_like(values);
    const Batch batch{at::rand({kRows, kBatch, 11}, at::kDouble).to(type),
                      numbers({kRows, kBatch * 3, 4}, type), objective->log_ratio(),
                      numbers({kRows, kBatch, 3}, type)};
    const auto terms = model->terms(BoundParameters(model->layout(), values, gradients), batch);
    const ObjectiveContext context{.kl_weight = at::tensor({0.7, 2.5}, at::kDouble),
                                   .scale = at::ones({kRows}, at::kDouble),
                                   .batch_size = kBatch,
                                   .statistics = {}};
    const auto loss = objective->leaf_loss(terms, context);
    torch::autograd::backward({loss.sum()}, {});
    return {loss.detach().to(type), terms.kl.detach(), gradients};
  });
}

TEST(Forms, TheWishIsSeenByOtherThreadsAndEndsWithItsScope) {
  const auto tensor = at::zeros({1});
  bool seen = true;
  {
    const AtenForms forced;
    std::thread([&] { seen = fused(tensor); }).join();
  }
  EXPECT_FALSE(seen);
  EXPECT_TRUE(fused(tensor));
}

}  // namespace
}  // namespace elbow::models
