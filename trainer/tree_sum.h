// Vectors of float64 sums added in one fixed binary tree: of n leaves, the left half is the largest
// power of two below n. The bits of the total depend on the leaves alone, not on who pushed which
// of them. Holds about log2(n) vectors. Knows nothing of ranks; one thread at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "trainer/leaves.h"

namespace elbow::trainer {

class TreeSum {
 public:
  explicit TreeSum(int64_t numbers) : numbers_(numbers) {}

  // sums: `numbers` of them. Nodes come in ascending order without gaps; the first may begin
  // anywhere.
  void push(TreeNode node, const double* sums);

  // What has been pushed, as complete subtrees (nodes_of in leaves.h): float64 [nodes, numbers].
  at::Tensor nodes() const;

  // The sum over all leaves, float64 [numbers]. Requires: the first node began at leaf 0.
  at::Tensor total() const;

 private:
  struct Part {
    TreeNode node;
    std::vector<double> sums;
  };
  int64_t numbers_;
  std::vector<Part> parts_;  // of falling widths from some point on
};

}  // namespace elbow::trainer
