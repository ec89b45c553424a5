#include "trainer/tree_sum.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace elbow::trainer {
namespace {

void add(std::vector<double>& left, const std::vector<double>& right) {
  for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
}

// Neighbours that are the two halves of one larger complete subtree.
bool are_halves(const TreeNode& left, const TreeNode& right) {
  return left.width == right.width && left.first % (2 * left.width) == 0;
}

}  // namespace

void TreeSum::push(TreeNode node, const double* sums) {
  parts_.push_back({node, std::vector<double>(sums, sums + numbers_)});
  while (parts_.size() > 1) {
    auto& left = parts_[parts_.size() - 2];
    if (!are_halves(left.node, parts_.back().node)) break;
    add(left.sums, parts_.back().sums);
    left.node.width *= 2;
    parts_.pop_back();
  }
}

at::Tensor TreeSum::nodes() const {
  auto result = at::empty({static_cast<int64_t>(parts_.size()), numbers_}, at::kDouble);
  double* out = result.mutable_data_ptr<double>();
  for (const auto& part : parts_) out = std::copy(part.sums.begin(), part.sums.end(), out);
  return result;
}

at::Tensor TreeSum::total() const {
  auto result = at::zeros({numbers_}, at::kDouble);
  if (parts_.empty()) return result;
  auto sums = parts_.back().sums;
  for (auto part = parts_.rbegin() + 1; part != parts_.rend(); ++part) {
    for (int64_t i = 0; i < numbers_; ++i) sums[i] = part->sums[i] + sums[i];
  }
  std::copy(sums.begin(), sums.end(), result.mutable_data_ptr<double>());
  return result;
}

}  // namespace elbow::trainer
