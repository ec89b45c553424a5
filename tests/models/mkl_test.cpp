#include "models/mkl.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "models/products.h"

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

// One matrix for all rows: their lines are multiplied together, in bits that are those of each row
// alone.
TEST(Mkl, LinesOfRowsWithOneMatrixAreMultipliedTogether) {
  ASSERT_EQ(fix_mkl_branch(best_mkl_branch()), mkl_branch());
  at::manual_seed(4);
  for (const int64_t lines : {1, 13, 32}) {
    for (const auto& [k, n] : {std::pair{784, 50}, {50, 784}, {2, 50}, {50, 4}}) {
      const auto a = at::randn({4, lines, k});
      const auto one = at::randn({1, k, n});
      auto together = at::empty({4, lines, n}), alone = at::empty({1, lines, n});
      multiply(a, one.expand({4, k, n}), together);
      for (int64_t row = 0; row < 4; ++row) {
        multiply(a.narrow(0, row, 1), one, alone);
        EXPECT_TRUE(at::equal(together.narrow(0, row, 1), alone)) << lines << " " << k << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace elbow::models
