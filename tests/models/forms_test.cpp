// The CPU's loops and the ATen forms that other devices take: the same values and gradients.
#include "models/forms.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <optional>
#include <thread>

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

TEST(Forms, GaussianLatentIsTheSame) {
  expect_same([](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(2);
    auto head = numbers({kRows, kBatch, 6}, type, 2).requires_grad_();
    const auto latent = sample_gaussian(head, numbers({kRows, kBatch, 3}, type));
    torch::autograd::backward({latent.z, latent.kl},
                              {numbers(latent.z.sizes(), type), numbers(latent.kl.sizes(), type)});
    return {latent.z.detach(), latent.kl.detach(), latent.mean, latent.scale, head.grad()};
  });
}

TEST(Forms, BernoulliIsTheSame) {
  expect_same([](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(3);
    auto logits = numbers({kRows, kBatch, 9}, type, 20).requires_grad_();
    const auto x = at::rand({kRows, kBatch, 9}, at::kDouble).to(type);
    const auto nats = bernoulli_nats(logits, x);
    torch::autograd::backward({nats}, {numbers(nats.sizes(), type)});
    return {nats.detach(), logits.grad()};
  });
}

TEST(Forms, AWholeVaeIsTheSame) {
  const auto model = make_vae({11, {8, 6}, 3, {7}, Activation::kTanh});
  expect_same([&](at::ScalarType type) -> std::vector<at::Tensor> {
    at::manual_seed(4);
    const auto values = numbers({kRows, model->layout().size()}, type, 0.5);
    auto gradients = at::zeros_like(values);
    const Batch batch{at::rand({kRows, kBatch, 11}, at::kDouble).to(type),
                      numbers({kRows, kBatch, 3}, type)};
    const auto terms = model->terms(BoundParameters(model->layout(), values, gradients), batch);
    const auto loss =
        make_elbo()->leaf_loss(terms, {.kl_weight = at::tensor({0.7, 2.5}, at::kDouble),
                                       .scale = at::ones({kRows}, at::kDouble),
                                       .batch_size = kBatch,
                                       .statistics = {}});
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
