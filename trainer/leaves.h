// How the global batch is cut into leaves, which leaves a rank owns, and the binary tree in which
// leaves are added. Pure functions of sizes: the tree and the leaves' boundaries never depend on
// the number of ranks.
#pragma once

#include <cstdint>
#include <vector>

namespace elbow::trainer {

struct Range {
  int64_t begin;
  int64_t end;
  int64_t size() const { return end - begin; }
};

// A complete subtree: leaves [first, first + width), width a power of two.
struct TreeNode {
  int64_t first;
  int64_t width;
};

// The largest power of two between 1 and 64 that leaves at least 32 examples in each leaf of a full
// batch.
int64_t automatic_leaves(int64_t batch_size);

// Part `index` of `count` almost equal, contiguous parts of [0, total).
Range part_of(int64_t total, int64_t count, int64_t index);

// The largest complete subtrees that a contiguous run of leaves consists of, in order.
std::vector<TreeNode> nodes_of(const Range& run, int64_t leaves);

}  // namespace elbow::trainer
