#include "models/mkl.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace elbow::models {
namespace {

TEST(Mkl, FixedBranchGivesTheSameBitsForAnyThreadCountAndBatchedForm) {
  EXPECT_NE(fix_mkl_branch(best_mkl_branch()), "off");
  const auto a = at::randn({32, 784});
  const auto b = at::randn({784, 500});
  at::set_num_threads(1);
  const auto expected = at::mm(a, b);
  EXPECT_TRUE(at::equal(
      at::bmm(a.unsqueeze(0).repeat({3, 1, 1}), b.unsqueeze(0).repeat({3, 1, 1})).select(0, 1),
      expected));
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(at::mm(a, b), expected));
}

}  // namespace
}  // namespace elbow::models
