// Products of a stack, and with operands rounded to bfloat16.
#include "models/products.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "models/forms.h"
#include "models/linear.h"
#include "models/model.h"
#include "models/ordered_products.h"

namespace elbow::models {
namespace {

constexpr int64_t kRows = 2, kBatch = 5;

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).abs().max() / b.to(at::kDouble).abs().max())
      .item<double>();
}

at::Tensor rounded(const at::Tensor& values) { return values.to(at::kBFloat16); }

// However the factors lie: transposed, one matrix for all rows, one line for all lines, one column.
TEST(Products, TakeFactorsOfAnyStrides) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto x = at::randn({3, 5, 4}, type);
    const std::vector<at::Tensor> left{
        x, at::randn({3, 4, 5}, type).transpose(1, 2), x.narrow(1, 0, 1).expand({3, 5, 4}),
        x.narrow(2, 1, 1).expand({3, 5, 4}), at::randn({3, 5, 9}, type).narrow(2, 2, 4)};
    const std::vector<at::Tensor> right{
        at::randn({3, 4, 7}, type), at::randn({3, 7, 4}, type).transpose(1, 2),
        at::randn({1, 4, 7}, type).expand({3, 4, 7}), at::randn({3, 4, 1}, type),
        at::randn({3, 4, 7}, type).slice(2, 0, 7, 2)};
    for (const auto& a : left) {
      for (const auto& b : right) {
        auto out = at::full({3, 5, b.size(2)}, 7, type);
        multiply(a, b, out);
        EXPECT_TRUE(at::allclose(out, at::matmul(a, b), 1e-4, 1e-5)) << a.strides() << b.strides();
        auto wide = at::full({3, 5, 20}, 7, type);
        multiply(a, b, wide.narrow(0, 0, 3).narrow(2, 3, b.size(2)));
        EXPECT_TRUE(at::allclose(wide.narrow(2, 3, b.size(2)), out, 1e-5, 1e-6));
        if (type == at::kFloat) {
          multiply_in_order(a, b, out);
          EXPECT_TRUE(at::allclose(out, at::matmul(a, b), 1e-4, 1e-5))
              << a.strides() << b.strides();
        }
      }
    }
  }
}

// A layer's result and gradients.
struct Outcome {
  at::Tensor y, dx, gradients;
};

Outcome run(const Linear& linear, const ParameterLayout& layout, const at::Tensor& values) {
  auto gradients = at::zeros_like(values);
  const auto low = rounded(values);
  at::manual_seed(5);
  auto x = at::randn({kRows, kBatch, 7}).requires_grad_();
  const auto y =
      linear.forward(BoundParameters(layout, values, gradients, low), x, /*input_gradient=*/true);
  torch::autograd::backward({y}, {at::randn(y.sizes())});
  return {y.detach(), x.grad(), gradients};
}

TEST(Products, Bfloat16OperandsAreAddedInFloat32) {
  at::manual_seed(1);
  for (const bool left : {false, true}) {
    for (const bool right : {false, true}) {
      const auto stack = [](int64_t m, int64_t n, bool transposed) {
        const auto numbers = rounded(at::randn({kRows, transposed ? n : m, transposed ? m : n}));
        return transposed ? numbers.transpose(1, 2) : numbers;
      };
      const auto a = stack(6, 300, left), b = stack(300, 9, right);
      auto out = at::empty({kRows, 6, 9});
      multiply(a, b, out);
      const auto expected = at::bmm(a.to(at::kDouble), b.to(at::kDouble));
      EXPECT_LT(difference(out, expected), 1e-6) << left << right;
    }
  }
}

// Gradients of a layer lie in flat rows.
TEST(Products, ResultsNeedNotLieSideBySide) {
  at::manual_seed(5);
  const auto a = at::randn({3, 6, 8}), b = at::randn({3, 8, 5});
  auto rows = at::zeros({3, 100});
  auto out = rows.narrow(1, 7, 30).view({3, 6, 5});
  multiply(a, b, out);
  EXPECT_TRUE(at::allclose(out, at::bmm(a, b), 1e-5, 1e-5));
  EXPECT_EQ(rows.narrow(1, 0, 7).abs().sum().item<float>(), 0.0f);
  EXPECT_EQ(rows.narrow(1, 37, 63).abs().sum().item<float>(), 0.0f);
}

// Ties, subnormal numbers, infinities and NaN are among the bits.
TEST(Products, RoundsToBfloat16AsAtenDoes) {
  at::manual_seed(6);
  auto bits = at::randint(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(),
                          {100'003}, at::kInt);
  bits.narrow(0, 0, 50'000).bitwise_and_(static_cast<int32_t>(0xFFFF8000));
  bits.narrow(0, 0, 5'000).bitwise_or_(0x7F800000);
  const auto values = bits.view(at::kFloat);
  const auto expected = values.to(at::kBFloat16);
  auto found = at::empty_like(expected);
  round(values, found);
  const auto numbers = expected.isnan().logical_not();
  EXPECT_TRUE(at::equal(found.isnan(), expected.isnan()));
  EXPECT_TRUE(at::equal(found.view(at::kShort).masked_select(numbers),
                        expected.view(at::kShort).masked_select(numbers)));
  EXPECT_GT(expected.isnan().sum().item<int64_t>(), 1000);
}

TEST(Products, ALayerOfBfloat16IsNearOneOfFloat32) {
  ParameterLayout layout, same;
  const Linear full(layout, 7, {{"a", 4}, {"b", 3}}, Activation::kTanh);
  const Linear low(same, 7, {{"a", 4}, {"b", 3}}, Activation::kTanh, Precision::kBfloat16);
  at::manual_seed(2);
  const auto values = at::randn({kRows, layout.size()});
  const auto expected = run(full, layout, values), result = run(low, same, values);
  EXPECT_EQ(result.gradients.scalar_type(), at::kFloat);
  // One operand is off by at most 2^-9 of itself.
  EXPECT_LT(difference(result.y, expected.y), 0.02);
  EXPECT_LT(difference(result.dx, expected.dx), 0.03);
  EXPECT_LT(difference(result.gradients, expected.gradients), 0.03);
  EXPECT_GT(difference(result.gradients, expected.gradients), 1e-4);  // it did round
}

TEST(Products, TheAtenFormOfBfloat16IsNearTheOther) {
  ParameterLayout layout;
  const Linear low(layout, 7, {{"a", 6}}, Activation::kRelu, Precision::kBfloat16);
  at::manual_seed(3);
  const auto values = at::randn({kRows, layout.size()});
  const auto loops = run(low, layout, values);
  const AtenForms forced;
  const auto aten = run(low, layout, values);
  EXPECT_LT(difference(aten.y, loops.y), 0.02);
  EXPECT_LT(difference(aten.dx, loops.dx), 0.02);
  EXPECT_LT(difference(aten.gradients, loops.gradients), 0.02);
}

// The head's means and scales follow from its input alone, which is rounded on the way.
TEST(Products, TheLatentHeadStaysInFloat32) {
  const auto model = make_vae({.observed = 11,
                               .latent = 3,
                               .decoder = {7},
                               .activation = Activation::kTanh,
                               .precision = Precision::kBfloat16});
  const auto full =
      make_vae({.observed = 11, .latent = 3, .decoder = {7}, .activation = Activation::kTanh});
  at::manual_seed(4);
  const auto values = at::randn({1, full->layout().size()});
  const Batch batch{at::rand({1, kBatch, 11}), at::randn({1, kBatch, 3})};
  at::NoGradGuard no_gradient;
  const auto low =
      model->terms(BoundParameters(model->layout(), values, {}, rounded(values)), batch);
  const auto expected = full->terms(BoundParameters(full->layout(), values), batch);
  EXPECT_TRUE(at::equal(low.kl, expected.kl));
  EXPECT_FALSE(at::equal(low.reconstruction, expected.reconstruction));
  EXPECT_LT(difference(low.reconstruction, expected.reconstruction), 0.02);
}

}  // namespace
}  // namespace elbow::models
