#include "trainer/gradient_sum.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <bit>
#include <numeric>

#include "models/forms.h"
#include "models/simd.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

ELBOW_SIMD void add_numbers(float* __restrict target, const float* __restrict source,
                            int64_t count) {
  for (int64_t i = 0; i < count; ++i) target[i] += source[i];
}

// Of two numbered summands: target += source.
struct Addition {
  int64_t target, source;
};

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

  // Makes additions one after another, shared out over the team by columns: they are element by
  // element, so a cut moves no bits. Of the gradients only where they are wanted.
  void add(ThreadTeam& team, const std::vector<Addition>& additions, bool gradients = true) {
    if (gradients) add_gradients(team, additions);
    for (const auto& [target, source] : additions)
      summands_[target].sums.add_(summands_[source].sums);
  }

 private:
  // Zeros; all blocks are aligned alike.
  static at::Tensor bytes_of(int64_t count, int64_t bytes, at::Device device) {
    return at::zeros({count, (bytes + 63) / 64 * 64}, at::TensorOptions(at::kByte).device(device));
  }

  // Some columns of all blocks at a time, which stay in cache from one addition to the next.
  void add_gradients(ThreadTeam& team, const std::vector<Addition>& additions) {
    if (!models::fused(shape_.device)) {
      for (const auto& [target, source] : additions)
        summands_[target].gradient.add_(summands_[source].gradient);
      return;
    }
    constexpr int64_t kChunk = 2048;
    const int64_t count = shape_.rows * shape_.parameters;
    team.run(team.size(), [&](int64_t part) {
      const auto share = part_of(count, team.size(), part);
      for (int64_t begin = share.begin; begin < share.end; begin += kChunk) {
        for (const auto& [target, source] : additions) {
          add_numbers(summands_[target].gradient.mutable_data_ptr<float>() + begin,
                      summands_[source].gradient.const_data_ptr<float>() + begin,
                      std::min(kChunk, share.end - begin));
        }
      }
    });
  }

  SumShape shape_;
  std::vector<at::Tensor> memory_;
  std::vector<Summand> summands_;
};

class FastSum : public GradientSum {
 public:
  FastSum(comm::Communicator& ranks, ThreadTeam& team, const SumShape& shape)
      : ranks_(ranks), team_(team), blocks_(shape, team.size()) {
    for (int64_t i = 1; i < team.size(); ++i) additions_.push_back({0, i});
  }

  int64_t slices() const override { return team_.size(); }

  Range slice(int64_t index, int64_t examples) const override {
    const auto share = part_of(examples, ranks_.size(), ranks_.rank());
    const auto part = part_of(share.size(), slices(), index);
    return {share.begin + part.begin, share.begin + part.end};
  }

  Summand& place(int64_t index) override { return blocks_[index]; }

  const Summand& add(bool) override {
    blocks_.add(team_, additions_);
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
  std::vector<Addition> additions_;
};

// How blocks that stand for tree nodes, in order, are added until one is left, in the place of node
// 0.
std::vector<Addition> additions_of(std::vector<TreeNode> nodes, int64_t leaves) {
  std::vector<Addition> additions;
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
        additions.push_back({place[i], place[i + 1]});
        next.back().width = 2 * width;
        ++i;
      }
    }
    nodes = std::move(next);
    place = std::move(next_place);
  }
  return additions;
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
    std::vector<TreeNode> own_leaves, all_nodes;
    for (int64_t i = run_.begin; i < run_.end; ++i) own_leaves.push_back({.first = i, .width = 1});
    own_additions_ = additions_of(own_leaves, leaves);
    for (int rank = 0; rank < ranks.size(); ++rank) {
      const auto nodes = nodes_of(part_of(leaves, ranks.size(), rank), leaves);
      counts_.push_back(static_cast<int64_t>(nodes.size()));
      all_nodes.insert(all_nodes.end(), nodes.begin(), nodes.end());
    }
    all_additions_ = additions_of(all_nodes, leaves);
    if (ranks.size() > 1) {
      all_blocks_ = std::make_unique<Blocks>(shape, static_cast<int64_t>(all_nodes.size()));
      sent_ = std::make_unique<Blocks>(shape, static_cast<int64_t>(own_nodes_.size()));
    }
  }

  int64_t slices() const override { return run_.size(); }
  Range slice(int64_t index, int64_t examples) const override {
    return part_of(examples, leaves_, run_.begin + index);
  }
  Summand& place(int64_t index) override { return leaf_blocks_[index]; }
  at::Tensor subtree() override {
    const auto& first = leaf_blocks_[0].gradient;
    return own_nodes_.size() == 1 && models::fused(first) ? first : at::Tensor();
  }

  const Summand& add(bool subtree_written) override {
    leaf_blocks_.add(team_, own_additions_, !subtree_written);
    if (ranks_.size() == 1) return leaf_blocks_[0];
    for (size_t m = 0; m < sent_->memory().size(); ++m) gather(m);
    ranks_.wait();
    all_blocks_->add(team_, all_additions_);
    return (*all_blocks_)[0];
  }

  at::Tensor add_statistics(const std::vector<at::Tensor>& local) override {
    std::vector<at::Tensor> own;
    for (const auto& leaf : local) own.push_back(leaf.clone());
    for (const auto& [target, source] : own_additions_) own[target].add_(own[source]);
    std::vector<at::Tensor> nodes;
    for (const auto& node : own_nodes_) nodes.push_back(own[node.first - run_.begin]);
    const auto sent = at::stack(nodes).contiguous();
    auto shape = sent.sizes().vec();
    shape[0] = std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
    auto all = at::empty(shape, sent.options());
    ranks_.all_gather(sent, all, counts_);
    for (const auto& [target, source] : all_additions_)
      all.select(0, target).add_(all.select(0, source));
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

  comm::Communicator& ranks_;
  ThreadTeam& team_;
  int64_t leaves_;
  Range run_;                            // this rank's leaves
  std::vector<TreeNode> own_nodes_;      // its largest complete subtrees; a subtree's sum lies in
                                         // the place of its first leaf
  std::vector<Addition> own_additions_;  // from leaves to these
  std::vector<Addition> all_additions_;  // from all ranks' nodes, in order, to the root
  std::vector<int64_t> counts_;          // nodes a rank
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

GradientSum::SharedOut GradientSum::add_columns(const VisitColumns&, bool) {
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
