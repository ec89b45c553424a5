#include "trainer/leaves.h"

#include <gtest/gtest.h>

namespace elbow::trainer {
namespace {

TEST(Leaves, AutomaticCountDependsOnTheBatchSizeAlone) {
  EXPECT_EQ(automatic_leaves(1), 1);
  EXPECT_EQ(automatic_leaves(63), 1);
  EXPECT_EQ(automatic_leaves(64), 2);
  EXPECT_EQ(automatic_leaves(100), 2);
  EXPECT_EQ(automatic_leaves(128), 4);
  EXPECT_EQ(automatic_leaves(1024), 32);
  EXPECT_EQ(automatic_leaves(1 << 20), 64);
}

TEST(Leaves, PartsCoverEverythingOnceAndDifferByAtMostOne) {
  for (int64_t total : {0, 1, 5, 96, 128}) {
    for (int64_t count : {1, 2, 3, 7, 64}) {
      int64_t next = 0;
      for (int64_t i = 0; i < count; ++i) {
        const auto part = part_of(total, count, i);
        EXPECT_EQ(part.begin, next);
        EXPECT_LE(part.size(), total / count + 1);
        EXPECT_GE(part.size(), total / count);
        next = part.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

TEST(Leaves, NodesOfARunAreTheLargestCompleteSubtrees) {
  const auto nodes = nodes_of({2, 5}, 8);
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].first, 2);
  EXPECT_EQ(nodes[0].width, 2);
  EXPECT_EQ(nodes[1].first, 4);
  EXPECT_EQ(nodes[1].width, 1);
  EXPECT_EQ(nodes_of({0, 8}, 8).size(), 1u);
  EXPECT_EQ(nodes_of({3, 3}, 8).size(), 0u);
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const auto run = part_of(16, ranks, rank);
      int64_t next = run.begin;
      for (const auto& node : nodes_of(run, 16)) {
        EXPECT_EQ(node.first, next);
        EXPECT_EQ(node.first % node.width, 0);
        next += node.width;
      }
      EXPECT_EQ(next, run.end);
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
