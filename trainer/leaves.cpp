#include "trainer/leaves.h"

namespace elbow::trainer {

int64_t automatic_leaves(int64_t batch_size) {
  int64_t leaves = 1;
  while (leaves < 64 && batch_size / (2 * leaves) >= 32) leaves *= 2;
  return leaves;
}

Range part_of(int64_t total, int64_t count, int64_t index) {
  return {total * index / count, total * (index + 1) / count};
}

std::vector<TreeNode> nodes_of(const Range& run, int64_t leaves) {
  std::vector<TreeNode> nodes;
  for (int64_t first = run.begin; first < run.end;) {
    int64_t width = 1;
    while (width < leaves && first % (2 * width) == 0 && first + 2 * width <= run.end) width *= 2;
    nodes.push_back({first, width});
    first += width;
  }
  return nodes;
}

}  // namespace elbow::trainer
