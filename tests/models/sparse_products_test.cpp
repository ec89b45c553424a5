// Products that leave out zeros, against the whole ones.
#include "models/sparse_products.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "models/linear.h"

namespace elbow::models {
namespace {

// [rows, batch, k] with so many zeros, an empty first line and an empty first column.
at::Tensor mostly_zeros(at::IntArrayRef shape, double share, at::ScalarType type) {
  auto x = at::rand(shape, type);
  x.mul_(at::rand(shape).gt(share));
  x.select(1, 0).zero_();
  x.select(2, 0).zero_();
  return x;
}

TEST(SparseProducts, AreTheWholeOnes) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const double tolerance = type == at::kFloat ? 2e-5 : 1e-12;
    for (const double share : {0.0, 0.8, 1.0}) {
      for (const int64_t n : {1, 63, 64, 130}) {
        for (const int64_t k : {1, 7, 8, 101}) {
          const auto x = mostly_zeros({2, 5, k}, share, type);
          const auto w = at::randn({2, k, n}, type), dy = at::randn({2, 5, n}, type);
          auto y = at::full({2, 5, n}, 7.0, type), dw = at::full({2, k, n}, 7.0, type);
          const auto found = non_zeros(x);
          EXPECT_EQ(found.value.numel(), x.ne(0).sum().item<int64_t>());
          multiply(found, w, y);
          multiply_transposed(found, dy, dw);
          EXPECT_TRUE(at::allclose(y, at::bmm(x, w), tolerance, tolerance)) << n << " " << k;
          EXPECT_TRUE(at::allclose(dw, at::bmm(x.transpose(1, 2), dy), tolerance, tolerance))
              << n << " " << k;
        }
      }
    }
  }
}

// Read as the float32 numbers that they stand for.
TEST(SparseProducts, OfBfloat16AreTheWholeOnes) {
  at::manual_seed(4);
  for (const double share : {0.0, 0.8, 1.0}) {
    for (const int64_t batch : {1, 2, 7}) {
      for (const int64_t n : {1, 63, 64, 130}) {
        for (const int64_t k : {1, 8, 101, 800}) {
          const auto x =
              mostly_zeros({2, batch, k}, share, at::kFloat).to(at::kBFloat16).to(at::kFloat);
          const auto w = at::randn({2, k, n}).to(at::kBFloat16);
          const auto dy = at::randn({2, batch, n}).to(at::kBFloat16);
          auto y = at::full({2, batch, n}, 7.0), dw = at::full({2, k, n}, 7.0);
          const auto found = non_zeros(x);
          multiply(found, w, y);
          multiply_transposed(found, dy, dw);
          const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
          const auto close = [&](const at::Tensor& sum, const at::Tensor& expected) {
            return at::allclose(wide(sum), expected, 1e-5, 1e-4);
          };
          EXPECT_TRUE(close(y, at::bmm(wide(x), wide(w)))) << batch << " " << n << " " << k;
          EXPECT_TRUE(close(dw, at::bmm(wide(x).transpose(1, 2), wide(dy))))
              << batch << " " << n << " " << k;
        }
      }
    }
  }
}

// One chain of fused multiply-adds in the order of the index, on every CPU that has them.
TEST(SparseProducts, AnElementIsOneChainOfItsTerms) {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
  if (!__builtin_cpu_supports("x86-64-v3")) GTEST_SKIP() << "no fused multiply-add";
  at::manual_seed(2);
  const int64_t batch = 40, k = 300, n = 77;
  const auto x = mostly_zeros({1, batch, k}, 0.8, at::kFloat);
  const auto w = at::randn({1, k, n}), dy = at::randn({1, batch, n});
  auto y = at::empty({1, batch, n}), dw = at::empty({1, k, n});
  multiply(non_zeros(x), w, y);
  multiply_transposed(non_zeros(x), dy, dw);
  const auto chain = [](const at::Tensor& a, const at::Tensor& b) {
    float sum = 0;
    for (int64_t i = 0; i < a.size(0); ++i) {
      const float value = a[i].item<float>();
      if (value != 0) sum = std::fma(value, b[i].item<float>(), sum);
    }
    return sum;
  };
  for (int64_t column = 0; column < n; column += 19) {
    for (int64_t line = 0; line < batch; line += 9)
      EXPECT_EQ(y[0][line][column].item<float>(), chain(x[0][line], w[0].select(1, column)));
    for (int64_t input = 0; input < k; input += 37)
      EXPECT_EQ(dw[0][input][column].item<float>(),
                chain(x[0].select(1, input), dy[0].select(1, column)));
  }
#else
  GTEST_SKIP() << "loops are not compiled for instruction sets here";
#endif
}

// So an example's code has the same bits on any number of ranks.
TEST(SparseProducts, ALineDoesNotDependOnItsNeighbours) {
  at::manual_seed(3);
  const auto x = mostly_zeros({1, 30, 200}, 0.8, at::kFloat);
  const auto w = at::randn({1, 200, 70});
  auto all = at::empty({1, 30, 70}), some = at::empty({1, 9, 70});
  multiply(non_zeros(x), w, all);
  multiply(non_zeros(x.narrow(1, 4, 9).contiguous()), w, some);
  EXPECT_TRUE(at::equal(all.narrow(1, 4, 9), some));
}

TEST(SparseProducts, WhatIsNotFiniteStaysSo) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto x = at::zeros({1, 3, 9});
  x[0][1][4] = nan;
  x[0][2][5] = 1;
  auto dy = at::ones({1, 3, 8}), dw = at::empty({1, 9, 8}), y = at::empty({1, 3, 8});
  dy[0][2][3] = std::numeric_limits<float>::infinity();
  multiply_transposed(non_zeros(x), dy, dw);
  EXPECT_TRUE(std::isnan(dw[0][4][0].item<float>()));
  EXPECT_TRUE(std::isinf(dw[0][5][3].item<float>()));
  multiply(non_zeros(x), at::ones({1, 9, 8}), y);
  EXPECT_TRUE(std::isnan(y[0][1][0].item<float>()));
  EXPECT_EQ(y[0][0][0].item<float>(), 0.0f);
}

TEST(SparseProducts, ALayerThatSkipsZerosIsTheOther) {
  ParameterLayout layout, same;
  const Linear whole(layout, 50, {{"a", 20}, {"b", 3}}, Activation::kTanh);
  const Linear sparse(same, 50, {{"a", 20}, {"b", 3}}, Activation::kTanh, Precision::kFloat32, {},
                      0, /*skips_zeros=*/true);
  at::manual_seed(4);
  const auto values = at::randn({2, layout.size()}, at::kDouble);
  const auto x = mostly_zeros({2, 6, 50}, 0.8, at::kDouble);
  const auto slope = at::randn({2, 6, 23}, at::kDouble);
  const auto addend = at::randn({2, 6, 23}, at::kDouble);
  std::vector<at::Tensor> results;
  for (const auto* layer : {&whole, &sparse}) {
    auto gradients = at::full_like(values, 9);
    auto given = addend.clone().requires_grad_();
    auto input = x.clone().requires_grad_();
    const auto y = layer->forward_with(BoundParameters(layout, values, gradients), input, given,
                                       /*input_gradient=*/false);
    torch::autograd::backward({y}, {slope});
    results.push_back(at::cat({y.detach().flatten(), gradients.flatten(), given.grad().flatten()}));
  }
  EXPECT_TRUE(at::allclose(results[0], results[1], 1e-12, 1e-12));
}

}  // namespace
}  // namespace elbow::models
