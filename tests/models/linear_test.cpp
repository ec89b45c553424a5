// What a dense layer knows of its weight's gradient without looking at it.
#include "models/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "models/forms.h"

namespace elbow::models {
namespace {

constexpr int64_t kBatch = 9, kIn = 12, kOut = 5;

// The layer's gradients for these inputs, and slopes of its loss.
struct Outcome {
  double largest;  // of the weight's gradient
  float bound;
};

// How the layer multiplies.
struct Form {
  bool skips_zeros = false;
  Precision precision = Precision::kFloat32;
};
constexpr Form kForms[] = {{},
                           {.skips_zeros = true},
                           {.precision = Precision::kBfloat16},
                           {.skips_zeros = true, .precision = Precision::kBfloat16}};

Outcome backward(const at::Tensor& x, const at::Tensor& slope, const Form& form) {
  ParameterLayout layout;
  const Linear layer(layout, kIn, {{"a", kOut}}, Activation::kRelu, form.precision, {}, 0,
                     form.skips_zeros);
  auto values = at::ones({1, layout.size()}, x.scalar_type());
  auto gradients = at::zeros_like(values);
  const BoundParameters parameters(layout, values, gradients, values.to(at::kBFloat16));
  auto input = x.clone().requires_grad_();
  torch::autograd::backward({layer.forward(parameters, input, /*input_gradient=*/false)}, {slope});
  return {layout.view(gradients, layer.weight()).abs().max().item<double>(),
          parameters.bounds()[layer.weight()].item<float>()};
}

TEST(Linear, NoGradientIsAboveItsBound) {
  at::manual_seed(1);
  for (const auto& form : kForms) {
    for (const double size : {1e-20, 1.0, 1e15}) {
      const auto x = at::rand({1, kBatch, kIn}) * at::rand({1, kBatch, kIn}).gt(0.6);
      const auto found = backward(x, size * at::randn({1, kBatch, kOut}), form);
      EXPECT_GE(found.bound, found.largest);
      EXPECT_LT(found.bound, 100 * found.largest);  // of use, that is
    }
    // The largest possible sum.
    const auto ones = at::ones({1, kBatch, kIn});
    const auto found = backward(ones, 2 * at::ones({1, kBatch, kOut}), form);
    EXPECT_EQ(found.largest, 2.0 * kBatch);
    EXPECT_EQ(found.bound, 2.0f * kBatch);
  }
}

TEST(Linear, WhatMayNotBeFiniteHasNoBound) {
  for (const auto& form : kForms) {
    const auto x = at::ones({1, kBatch, kIn});
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
      auto slope = at::ones({1, kBatch, kOut});
      slope[0][4][2] = bad;
      EXPECT_FALSE(std::isfinite(backward(x, slope, form).bound)) << bad;
    }
    auto input = x.clone();
    input[0][3][1] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite(backward(input, at::ones({1, kBatch, kOut}), form).bound));
  }
}

TEST(Linear, ABoundIsForTheLoopsAlone) {
  const AtenForms forced;
  const auto found = backward(at::ones({1, kBatch, kIn}), at::ones({1, kBatch, kOut}), Form());
  EXPECT_FALSE(std::isfinite(found.bound));
}

}  // namespace
}  // namespace elbow::models
