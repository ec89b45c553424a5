#include "trainer/gradient_sum.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <bit>

#include "models/forms.h"
#include "models/simd.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

ELBOW_SIMD void add_numbers(float* __restrict target, const float* __restrict source,
                            int64_t count) {
  for (int64_t i = 0; i < count; ++i) target[i] += source[i];
}

// Numbered summands, in the memory that messages are made of.
class Blocks {
 public:
  Blocks(const SumShape& shape, int64_t count) : shape_(shape) {
    const int64_t gradient_bytes = shape.rows * shape.parameters * 4;
    const int64_t sums_bytes = shape.rows * shape.numbers * 8;
    const auto gradients = bytes_of(count, gradient_bytes + sums_bytes, shape.device);
    memory_ = {gradients};
    auto sums = gradients.narrow(1, gradient_bytes, sums_bytes);
    if (!models::fused(shape.device)) {
      sums = bytes_of(count, sums_bytes, at::kCPU);
      memory_.push_back(sums);
    }
    for (int64_t i = 0; i < count; ++i) {
      const auto gradient = gradients.select(0, i).narrow(0, 0, gradient_bytes);
      const auto numbers = sums.select(0, i).narrow(0, 0, sums_bytes);
      summands_.push_back({gradient.view(at::kFloat).view({shape.rows, shape.parameters}),
                           numbers.view(at::kDouble).view({shape.rows, shape.numbers})});
    }
  }

  Summand& operator[](int64_t index) { return summands_[index]; }

  // All blocks as bytes [count, bytes]: one tensor where gradient and sums travel together, else
  // one for each.
  const std::vector<at::Tensor>& memory() const { return memory_; }

  // target += source, shared out over the team by columns: additions are element by element, so a
  // cut moves no bits.
  void add(ThreadTeam& team, int64_t target, int64_t source) {
    auto& to = summands_[target];
    const auto& from = summands_[source];
    if (models::fused(to.gradient)) {
      add_gradients(team, to.gradient.mutable_data_ptr<float>(),
                    from.gradient.const_data_ptr<float>());
    } else {
      to.gradient.add_(from.gradient);
    }
    double* to_sums = to.sums.mutable_data_ptr<double>();
    const double* from_sums = from.sums.const_data_ptr<double>();
    for (int64_t i = 0; i < shape_.rows * shape_.numbers; ++i) to_sums[i] += from_sums[i];
  }

 private:
  // Zeros; all blocks are aligned alike.
  static at::Tensor bytes_of(int64_t count, int64_t bytes, at::Device device) {
    return at::zeros({count, (bytes + 63) / 64 * 64}, at::TensorOptions(at::kByte).device(device));
  }

  void add_gradients(ThreadTeam& team, float* to, const float* from) const {
    const int64_t count = shape_.rows * shape_.parameters;
    team.run(team.size(), [&](int64_t part) {
      const auto range = part_of(count, team.size(), part);
      add_numbers(to + range.begin, from + range.begin, range.size());
    });
  }

  SumShape shape_;
  std::vector<at::Tensor> memory_;
  std::vector<Summand> summands_;
};

class FastSum : public GradientSum {
 public:
  FastSum(comm::Communicator& ranks, ThreadTeam& team, const SumShape& shape)
      : ranks_(ranks), team_(team), blocks_(shape, team.size()) {}

  int64_t slices() const override { return team_.size(); }

  Range slice(int64_t index, int64_t examples) const override {
    const auto share = part_of(examples, ranks_.size(), ranks_.rank());
    const auto part = part_of(share.size(), slices(), index);
    return {share.begin + part.begin, share.begin + part.end};
  }

  Summand& place(int64_t index) override { return blocks_[index]; }

  const Summand& add() override {
    for (int64_t i = 1; i < slices(); ++i) blocks_.add(team_, 0, i);
    if (ranks_.size() > 1) {
      ranks_.all_reduce_sum(blocks_[0].gradient);
      ranks_.all_reduce_sum(blocks_[0].sums);
      ranks_.wait();
    }
    return blocks_[0];
  }

  at::Tensor add_statistics(const std::vector<at::Tensor>& local) override {
    auto sum = local[0].clone();
    for (size_t i = 1; i < local.size(); ++i) sum.add_(local[i]);
    ranks_.all_reduce_sum(sum);
    return sum;
  }

 private:
  comm::Communicator& ranks_;
  ThreadTeam& team_;
  Blocks blocks_;
};

// Adds blocks that stand for tree nodes, in order, until one is left, in the place of node 0.
// add(target, source) adds blocks.
template <class Add>
void finish_tree(std::vector<TreeNode> nodes, int64_t leaves, const Add& add) {
  std::vector<int64_t> place(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) place[i] = static_cast<int64_t>(i);
  for (int64_t width = 1; width < leaves; width *= 2) {
    std::vector<TreeNode> next;
    std::vector<int64_t> next_place;
    for (size_t i = 0; i < nodes.size(); ++i) {
      next.push_back(nodes[i]);
      next_place.push_back(place[i]);
      if (nodes[i].width == width && i + 1 < nodes.size() && nodes[i].first % (2 * width) == 0 &&
          nodes[i + 1].width == width) {
        add(place[i], place[i + 1]);
        next.back().width = 2 * width;
        ++i;
      }
    }
    nodes = std::move(next);
    place = std::move(next_place);
  }
}

class ExactSum : public GradientSum {
 public:
  ExactSum(comm::Communicator& ranks, ThreadTeam& team, const SumShape& shape, int64_t leaves)
      : ranks_(ranks),
        team_(team),
        leaves_(leaves),
        run_(part_of(leaves, ranks.size(), ranks.rank())),
        own_nodes_(nodes_of(run_, leaves)),
        leaf_blocks_(shape, run_.size()) {
    for (int rank = 0; rank < ranks.size(); ++rank) {
      const auto nodes = nodes_of(part_of(leaves, ranks.size(), rank), leaves);
      counts_.push_back(static_cast<int64_t>(nodes.size()));
      all_nodes_.insert(all_nodes_.end(), nodes.begin(), nodes.end());
    }
    if (ranks.size() > 1) {
      all_blocks_ = std::make_unique<Blocks>(shape, static_cast<int64_t>(all_nodes_.size()));
      sent_ = std::make_unique<Blocks>(shape, static_cast<int64_t>(own_nodes_.size()));
    }
  }

  int64_t slices() const override { return run_.size(); }
  Range slice(int64_t index, int64_t examples) const override {
    return part_of(examples, leaves_, run_.begin + index);
  }
  Summand& place(int64_t index) override { return leaf_blocks_[index]; }

  const Summand& add() override {
    add_own_leaves(
        [&](int64_t target, int64_t source) { leaf_blocks_.add(team_, target, source); });
    if (ranks_.size() == 1) return leaf_blocks_[0];
    for (size_t m = 0; m < sent_->memory().size(); ++m) gather(m);
    ranks_.wait();
    finish_tree(all_nodes_, leaves_,
                [&](int64_t target, int64_t source) { all_blocks_->add(team_, target, source); });
    return (*all_blocks_)[0];
  }

  at::Tensor add_statistics(const std::vector<at::Tensor>& local) override {
    std::vector<at::Tensor> own;
    for (const auto& leaf : local) own.push_back(leaf.clone());
    add_own_leaves([&](int64_t target, int64_t source) { own[target].add_(own[source]); });
    std::vector<at::Tensor> nodes;
    for (const auto& node : own_nodes_) nodes.push_back(own[node.first - run_.begin]);
    const auto sent = at::stack(nodes).contiguous();
    auto shape = sent.sizes().vec();
    shape[0] = static_cast<int64_t>(all_nodes_.size());
    auto all = at::empty(shape, sent.options());
    ranks_.all_gather(sent, all, counts_);
    finish_tree(all_nodes_, leaves_, [&](int64_t target, int64_t source) {
      all.select(0, target).add_(all.select(0, source));
    });
    return all.select(0, 0).clone();
  }

 private:
  // Every rank's nodes, in order, into all_blocks_: their memory of index m.
  void gather(size_t m) {
    const auto& sent = sent_->memory()[m];
    const auto& leaves = leaf_blocks_.memory()[m];
    for (size_t i = 0; i < own_nodes_.size(); ++i) {
      sent.select(0, static_cast<int64_t>(i))
          .copy_(leaves.select(0, own_nodes_[i].first - run_.begin));
    }
    ranks_.all_gather(sent, all_blocks_->memory()[m], counts_);
  }

  // Adds this rank's leaves up to its largest complete subtrees; a subtree's sum lies in the place
  // of its first leaf.
  template <class Add>
  void add_own_leaves(const Add& add) const {
    for (const auto& node : own_nodes_) {
      const int64_t first = node.first - run_.begin;
      for (int64_t width = 1; width < node.width; width *= 2) {
        for (int64_t i = 0; i < node.width; i += 2 * width) add(first + i, first + i + width);
      }
    }
  }

  comm::Communicator& ranks_;
  ThreadTeam& team_;
  int64_t leaves_;
  Range run_;  // this rank's leaves
  std::vector<TreeNode> own_nodes_;
  std::vector<TreeNode> all_nodes_;  // of all ranks, in order
  std::vector<int64_t> counts_;      // nodes a rank
  Blocks leaf_blocks_;
  std::unique_ptr<Blocks> sent_, all_blocks_;
};

void check_leaves(const comm::Communicator& ranks, int64_t leaves) {
  if (leaves < 1 || !std::has_single_bit(static_cast<uint64_t>(leaves))) {
    throw SettingError(
        fmt::format("train.leaves = {} is not a power of two: choose 1, 2, 4, … or auto", leaves));
  }
  if (ranks.size() > leaves) {
    throw SettingError(fmt::format(
        "train.leaves = {} cannot be shared by {} ranks in exact mode: set train.leaves to at "
        "least {}, or start fewer ranks",
        leaves, ranks.size(), std::bit_ceil(static_cast<uint64_t>(ranks.size()))));
  }
}

}  // namespace

GradientSum::SharedOut GradientSum::add_columns(const VisitColumns&) {
  throw std::logic_error("this gradient sum is not shared out");
}

std::unique_ptr<GradientSum> make_fast_sum(comm::Communicator& ranks, ThreadTeam& team,
                                           const SumShape& shape) {
  return std::make_unique<FastSum>(ranks, team, shape);
}

std::unique_ptr<GradientSum> make_exact_sum(comm::Communicator& ranks, ThreadTeam& team,
                                            const SumShape& shape, int64_t leaves) {
  check_leaves(ranks, leaves);
  return std::make_unique<ExactSum>(ranks, team, shape, leaves);
}

std::unique_ptr<GradientSum> make_gradient_sum(comm::Communicator& ranks, ThreadTeam& team,
                                               const SumShape& shape, int64_t leaves) {
  if (leaves > 0) check_leaves(ranks, leaves);
  if (ranks.size() > 1 && models::fused(shape.device)) {
    if (auto sum = make_host_sum(ranks, team, shape, leaves)) return sum;
  }
  return leaves > 0 ? make_exact_sum(ranks, team, shape, leaves)
                    : make_fast_sum(ranks, team, shape);
}

}  // namespace elbow::trainer
