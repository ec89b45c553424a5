// Products in order against the whole ones; and sums over leaves to the bit against leaf by leaf,
// which is what ranks and threads that share leaves out compute.
#include "models/ordered_products.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "models/model.h"
#include "models/sparse_products.h"

namespace elbow::models {
namespace {

// The same sum, leaf by leaf: product(leaf, out) writes one leaf's.
template <class Product>
at::Tensor leaf_by_leaf(int64_t leaves, const at::Tensor& like, const Product& product) {
  std::vector<at::Tensor> parts;
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    parts.push_back(at::full_like(like, 7));
    product(leaf, parts.back());
  }
  auto out = at::full_like(like, 7);
  add_leaves(at::cat(parts), out);
  return out;
}

TEST(OrderedProducts, TheTreeAddsHalvesToHalves) {
  at::manual_seed(1);
  auto parts = at::randn({8, 3});
  const auto p = parts.clone();
  const auto expected = ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]));
  auto out = at::empty({1, 3});
  add_leaves(parts, out);
  EXPECT_TRUE(at::equal(out[0], expected));
}

// [count, m, n], or the transpose of such a stack.
at::Tensor stack_of(int64_t count, int64_t m, int64_t n, bool transposed) {
  return transposed ? at::randn({count, n, m}).transpose(1, 2) : at::randn({count, m, n});
}

// Leaves that are worked on together (up to 128 terms), one after another, and in pieces.
TEST(OrderedProducts, AreTheWholeOnesAndTheirSumHasTheBitsOfLeafByLeaf) {
  at::manual_seed(2);
  for (const int64_t leaves : {1, 2, 8}) {
    for (const int64_t terms : {1, 3, 32, 64, 128, 129, 300}) {
      for (const auto& [m, n] : {std::pair{1, 1}, {8, 48}, {13, 17}, {9, 100}}) {
        for (const auto& [of_a, of_b] :
             {std::pair{false, false}, {false, true}, {true, false}, {true, true}}) {
          const auto a = stack_of(leaves, m, terms, of_a), b = stack_of(leaves, terms, n, of_b);
          auto each = at::full({leaves, m, n}, 7.0), sum = at::full({1, m, n}, 7.0);
          multiply_in_order(a, b, each);
          multiply_in_order(a, b, sum);
          EXPECT_TRUE(at::allclose(each, at::matmul(a, b), 1e-3, 1e-3))
              << leaves << " leaves of " << terms << ", " << m << " x " << n;
          auto expected = at::empty({1, m, n});
          add_leaves(each, expected);
          EXPECT_TRUE(at::equal(sum, expected))
              << leaves << " leaves of " << terms << ", " << m << " x " << n;
        }
      }
    }
  }
}

// So a batch may be cut anywhere.
TEST(OrderedProducts, ALineDoesNotDependOnItsNeighbours) {
  at::manual_seed(3);
  const auto x = at::randn({1, 50, 200}), w = at::randn({1, 200, 70});
  auto all = at::empty({1, 50, 70}), some = at::empty({1, 9, 70}), stacked = at::empty({5, 10, 70});
  multiply_in_order(x, w, all);
  multiply_in_order(x.narrow(1, 4, 9), w, some);
  multiply_in_order(x.view({5, 10, 200}), w.expand({5, -1, -1}), stacked);
  EXPECT_TRUE(at::equal(all.narrow(1, 4, 9), some));
  EXPECT_TRUE(at::equal(all.view({5, 10, 70}), stacked));
}

// So the bits are those of every CPU that has fused multiply-adds.
TEST(OrderedProducts, AnElementOfALeafIsOneChainOfFusedMultiplyAdds) {
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (!__builtin_cpu_supports("x86-64-v3")) GTEST_SKIP() << "no fused multiply-add";
  at::manual_seed(3);
  const int64_t terms = 150, m = 11, n = 70;
  const auto a = at::randn({2, m, terms}), b = at::randn({2, terms, n});
  auto out = at::empty({1, m, n});
  multiply_in_order(a, b, out);
  const auto chain = [&](int64_t leaf, int64_t line, int64_t column) {
    float sum = 0;
    for (int64_t i = 0; i < terms; ++i)
      sum = std::fma(a[leaf][line][i].item<float>(), b[leaf][i][column].item<float>(), sum);
    return sum;
  };
  for (int64_t line = 0; line < m; line += 3)
    for (int64_t column = 0; column < n; column += 13)
      EXPECT_EQ(out[0][line][column].item<float>(),
                chain(0, line, column) + chain(1, line, column));
#else
  GTEST_SKIP() << "loops are not compiled for instruction sets here";
#endif
}

TEST(OrderedProducts, ASparseProductHasTheBitsOfLeafByLeaf) {
  at::manual_seed(4);
  for (const int64_t leaves : {2, 4, 16}) {
    for (const int64_t n : {5, 64, 130}) {
      auto x = at::rand({leaves, 9, 40}) * at::rand({leaves, 9, 40}).gt(0.8);
      x.select(2, 3).zero_();  // a column that no leaf has
      x.select(0, 1).select(1, 7).zero_();
      const auto dy = at::randn({leaves, 9, n});
      auto out = at::full({1, 40, n}, 7.0);
      multiply_transposed(non_zeros(x), dy, out);
      const auto apart = leaf_by_leaf(leaves, out, [&](int64_t leaf, at::Tensor& part) {
        multiply_transposed(non_zeros(x.narrow(0, leaf, 1)), dy.narrow(0, leaf, 1), part);
      });
      EXPECT_TRUE(at::equal(out, apart)) << leaves << " leaves, " << n << " columns";
      EXPECT_TRUE(at::allclose(out, at::matmul(x.transpose(1, 2), dy).sum(0, true), 1e-4, 1e-5));
    }
  }
}

struct Network {
  const char* name;
  VaeShape shape;
};
std::ostream& operator<<(std::ostream& out, const Network& network) { return out << network.name; }

class LeavesOfANetwork : public ::testing::TestWithParam<Network> {};

TEST_P(LeavesOfANetwork, GiveTheSumOfTheirGradients) {
  const auto model = make_vae(GetParam().shape);
  const auto objective = make_elbo();
  const int64_t leaves = 4, lines = 6;
  at::manual_seed(5);
  const auto values = 0.4 * at::randn({1, model->layout().size()});
  Batch batch{at::rand({leaves, lines, model->observed()}),
              at::randn({leaves, lines, model->latent()})};
  if (model->conditions() > 0) batch.condition = at::rand({leaves, lines, model->conditions()});
  const auto differentiate = [&](int64_t first, int64_t count, const at::Tensor& gradient) {
    const auto part = [&](const at::Tensor& t) {
      return t.defined() ? t.narrow(0, first, count) : t;
    };
    const BoundParameters parameters(model->layout(), values.expand({count, -1}), gradient, {},
                                     Rows::kLeaves);
    const auto terms = model->terms(
        parameters, {part(batch.x), part(batch.noise), batch.log_ratio, part(batch.condition)});
    const auto ones = at::ones({count}, at::kDouble);
    const auto loss = objective->leaf_loss(
        terms, {.kl_weight = ones, .scale = ones, .batch_size = leaves * lines, .statistics = {}});
    torch::autograd::backward({loss.sum()}, {});
  };
  auto together = at::zeros_like(values);
  differentiate(0, leaves, together);
  // The gaps of the flat row belong to nobody.
  auto apart = at::zeros({leaves, values.size(1)});
  for (int64_t leaf = 0; leaf < leaves; ++leaf) differentiate(leaf, 1, apart.narrow(0, leaf, 1));
  EXPECT_GT(apart[1].abs().sum().item<float>(), 0);
  auto sum = at::empty_like(together);
  add_leaves(apart, sum);
  EXPECT_TRUE(at::equal(together, sum)) << (together - sum).abs().max().item<float>();
}

const VaeShape kDense{.observed = 20,
                      .encoder = {8, 6},
                      .latent = 4,
                      .decoder = {7},
                      .activation = Activation::kTanh};

VaeShape dense(Likelihood likelihood, std::optional<ConditionShape> condition = {}) {
  auto shape = kDense;
  shape.likelihood = likelihood;
  shape.condition = std::move(condition);
  return shape;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, LeavesOfANetwork,
    ::testing::Values(Network{"dense", kDense},
                      Network{"learned_sigma", dense(Likelihood::kGaussianLearned)},
                      Network{"conditional",
                              dense(Likelihood::kBernoulli, ConditionShape{.width = 3,
                                                                           .path = {5, 6, 7},
                                                                           .join = Join::kAdd,
                                                                           .encoder_layer = 2,
                                                                           .learned_prior = true})},
                      Network{"convolutional", VaeShape{.observed = 7 * 6 * 3,
                                                        .encoder = {5},
                                                        .latent = 2,
                                                        .decoder = {4},
                                                        .activation = Activation::kRelu,
                                                        .image = ImageShape{7, 6, 3, {3, 4}, 3}}}));

}  // namespace
}  // namespace elbow::models
