#include "trainer/split_sum.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "trainer/tree_sum.h"

namespace elbow::trainer {
namespace {

int64_t leaves_in(int64_t examples) { return (examples + kEvaluationLeaf - 1) / kEvaluationLeaf; }

Range examples_of(const Range& leaves, int64_t examples) {
  return {std::min(leaves.begin * kEvaluationLeaf, examples),
          std::min(leaves.end * kEvaluationLeaf, examples)};
}

// Every rank's subtrees, pushed in the order of ranks.
at::Tensor total_over_ranks(const TreeSum& own, int64_t leaves, int64_t numbers,
                            comm::Communicator& ranks) {
  std::vector<TreeNode> nodes;
  std::vector<int64_t> counts;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const auto of_rank = nodes_of(part_of(leaves, ranks.size(), rank), leaves);
    nodes.insert(nodes.end(), of_rank.begin(), of_rank.end());
    counts.push_back(static_cast<int64_t>(of_rank.size()));
  }
  auto all = at::empty({static_cast<int64_t>(nodes.size()), numbers}, at::kDouble);
  ranks.all_gather(own.nodes(), all, counts);
  TreeSum tree(numbers);
  const double* sums = all.const_data_ptr<double>();
  for (const auto& node : nodes) {
    tree.push(node, sums);
    sums += numbers;
  }
  return tree.total();
}

at::Tensor gather_counts(const std::vector<int64_t>& counts, const at::Tensor& own,
                         comm::Communicator& ranks) {
  if (ranks.size() == 1) return own;
  auto shape = own.sizes().vec();
  shape[0] = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  auto all = at::empty(shape, own.options());
  ranks.all_gather(own, all, counts);
  return all;
}

}  // namespace

Range own_examples(int64_t examples, const comm::Communicator& ranks) {
  return examples_of(part_of(leaves_in(examples), ranks.size(), ranks.rank()), examples);
}

at::Tensor sum_over_split(int64_t examples, int64_t numbers, const MeasureLeaf& measure,
                          comm::Communicator& ranks, ThreadTeam& team) {
  const int64_t leaves = leaves_in(examples);
  const auto own = part_of(leaves, ranks.size(), ranks.rank());
  const int64_t block = 16 * team.size();  // leaves whose sums lie in memory at a time
  auto sums = at::empty({std::min(block, own.size()), numbers}, at::kDouble);
  double* of_leaf = sums.mutable_data_ptr<double>();
  TreeSum tree(numbers);
  for (int64_t begin = own.begin; begin < own.end; begin += block) {
    const int64_t count = std::min(block, own.end - begin);
    team.run(count, [&](int64_t i) {
      measure(examples_of({begin + i, begin + i + 1}, examples), of_leaf + i * numbers);
      ranks.progress();
    });
    for (int64_t i = 0; i < count; ++i) tree.push({begin + i, 1}, of_leaf + i * numbers);
  }
  if (ranks.size() == 1) return tree.total();
  return total_over_ranks(tree, leaves, numbers, ranks);
}

at::Tensor gather_examples(int64_t examples, const at::Tensor& own, comm::Communicator& ranks) {
  const int64_t leaves = leaves_in(examples);
  std::vector<int64_t> counts;
  for (int rank = 0; rank < ranks.size(); ++rank)
    counts.push_back(examples_of(part_of(leaves, ranks.size(), rank), examples).size());
  return gather_counts(counts, own, ranks);
}

at::Tensor gather_parts(int64_t total, const at::Tensor& own, comm::Communicator& ranks) {
  std::vector<int64_t> counts;
  for (int rank = 0; rank < ranks.size(); ++rank)
    counts.push_back(part_of(total, ranks.size(), rank).size());
  return gather_counts(counts, own, ranks);
}

}  // namespace elbow::trainer
