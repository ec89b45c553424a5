#include "trainer/tree_sum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/support/spawn_ranks.h"
#include "trainer/split_sum.h"

namespace elbow::trainer {
namespace {

// Numbers whose sum depends on the order in which they are added.
double number(int64_t leaf) {
  return 1e3 / static_cast<double>(3 * leaf + 1) + 1e17 * static_cast<double>(leaf % 7 - 3);
}

double sum_of(int64_t begin, int64_t end) {
  if (end - begin == 1) return number(begin);
  int64_t half = 1;
  while (2 * half < end - begin) half *= 2;
  return sum_of(begin, begin + half) + sum_of(begin + half, end);
}

double total_of(int64_t leaves) {
  TreeSum tree(1);
  for (int64_t leaf = 0; leaf < leaves; ++leaf) {
    const double value = number(leaf);
    tree.push({leaf, 1}, &value);
  }
  return tree.total().item<double>();
}

TEST(TreeSum, AddsInTheFixedTree) {
  for (int64_t leaves : {1, 2, 3, 7, 8, 39, 40, 100})
    EXPECT_EQ(total_of(leaves), sum_of(0, leaves)) << leaves;
  double plain = 0;
  for (int64_t leaf = 0; leaf < 100; ++leaf) plain += number(leaf);
  EXPECT_NE(total_of(100), plain) << "the numbers do not show an order";
  EXPECT_EQ(TreeSum(3).total().sum().item<double>(), 0);
}

TEST(TreeSum, ARunIsKeptAsItsLargestCompleteSubtrees) {
  TreeSum tree(1);
  for (int64_t leaf = 3; leaf < 13; ++leaf) {
    const double value = number(leaf);
    tree.push({leaf, 1}, &value);
  }
  const auto nodes = nodes_of({3, 13}, 13);
  ASSERT_EQ(tree.nodes().size(0), static_cast<int64_t>(nodes.size()));
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(tree.nodes()[static_cast<int64_t>(i)][0].item<double>(),
              sum_of(nodes[i].first, nodes[i].first + nodes[i].width));
  }
}

// Each example's own number, so that a lost or doubled example shows.
TEST(SplitSum, CountsEveryExampleOnceOnAnyNumberOfRanksAndThreads) {
  for (int64_t examples : {1, 255, 256, 257, 5000}) {
    at::Tensor expected;
    std::mutex lock;
    for (int size : {1, 2, 3, 4}) {
      tests::spawn_ranks(size, [&](comm::Communicator& ranks) {
        ThreadTeam team(size % 2 + 1);
        const auto total = sum_over_split(
            examples, 2,
            [&](Range range, double* sums) {
              sums[0] = static_cast<double>(range.size());
              sums[1] = 0;
              for (int64_t i = range.begin; i < range.end; ++i) sums[1] += number(i);
            },
            ranks, team);
        const auto own = own_examples(examples, ranks);
        const auto all = gather_examples(examples, at::arange(own.begin, own.end), ranks);
        const std::lock_guard guard(lock);
        if (!expected.defined()) expected = total;
        EXPECT_TRUE(at::equal(total, expected)) << size << " ranks, " << examples << " examples";
        EXPECT_EQ(total[0].item<double>(), static_cast<double>(examples));
        EXPECT_TRUE(at::equal(all, at::arange(examples)));
      });
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
