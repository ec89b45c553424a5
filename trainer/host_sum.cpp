// The sum of ranks that share a host: slices are written where every rank can read them, and each
// rank adds its share of the columns over all slices of all ranks. No message is sent.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "comm/host_memory.h"
#include "models/simd.h"
#include "trainer/gradient_sum.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kChunk = 2048;  // columns at a time: all partial sums of a chunk stay in cache
constexpr int64_t kAlignment = 64;

// sum may be a.
ELBOW_SIMD void add_into(float* sum, const float* a, const float* b, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}

int64_t rounded_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Which slices all ranks together have, in the order of the batch.
struct SlicePlan {
  std::vector<Range> of_rank;  // numbers of the slices that each rank computes
  int64_t total;
  bool tree;  // added as leaves of the binary tree, else from first to last
};

// Threads of every rank.
std::vector<int64_t> team_sizes(comm::Communicator& ranks, const ThreadTeam& team) {
  auto sizes = at::zeros({ranks.size()}, at::kLong);
  ranks.all_gather(at::full({1}, team.size(), at::kLong), sizes,
                   std::vector<int64_t>(ranks.size(), 1));
  return {sizes.const_data_ptr<int64_t>(), sizes.const_data_ptr<int64_t>() + ranks.size()};
}

class HostSum : public GradientSum {
 public:
  HostSum(comm::Communicator& ranks, ThreadTeam& team, const SumShape& shape, SlicePlan plan,
          std::unique_ptr<comm::HostMemory> memory)
      : ranks_(ranks),
        team_(team),
        shape_(shape),
        plan_(std::move(plan)),
        memory_(std::move(memory)) {
    const auto own = plan_.of_rank[ranks.rank()];
    for (int64_t i = 0; i < plan_.total; ++i) all_.push_back(summand_at(i));
    own_.assign(all_.begin() + own.begin, all_.begin() + own.end);
    result_ = summand_at(plan_.total);
    result_.sums = at::zeros_like(result_.sums);  // small: every rank adds all of them for itself
  }

  static int64_t bytes_of_summand(const SumShape& shape) {
    return rounded_up(shape.rows * (shape.parameters * 4 + shape.numbers * 8));
  }

  static int64_t bytes_needed(const SumShape& shape, const SlicePlan& plan, int ranks) {
    return (plan.total + 1) * bytes_of_summand(shape) + ranks * kAlignment;
  }

  int64_t slices() const override { return static_cast<int64_t>(own_.size()); }

  Range slice(int64_t index, int64_t examples) const override {
    const int64_t number = plan_.of_rank[ranks_.rank()].begin + index;
    if (plan_.tree) return part_of(examples, plan_.total, number);
    const auto share = part_of(examples, ranks_.size(), ranks_.rank());
    const auto part = part_of(share.size(), slices(), index);
    return {share.begin + part.begin, share.begin + part.end};
  }

  Summand& place(int64_t index) override { return own_[index]; }
  at::Tensor subtree() override {
    const auto run = plan_.of_rank[ranks_.rank()];
    const bool whole = plan_.tree && nodes_of(run, plan_.total).size() == 1;
    return whole ? own_[0].gradient : at::Tensor();
  }

  const Summand& add(bool subtree_written) override {
    meet_written(subtree_written);
    for_each_piece([&](const Range& columns) {
      add_piece(columns, result_.gradient.mutable_data_ptr<float>() + columns.begin);
    });
    result_.sums.copy_(total_of([&](int64_t i) { return all_[i].sums; }));
    memory_->meet();  // the sum is whole, and all slices may be written again
    return result_;
  }

  bool shares_columns() const override { return true; }

  SharedOut add_columns(const VisitColumns& visit, bool subtree_written) override {
    meet_written(subtree_written);
    std::atomic<bool> good{true};
    for_each_piece([&](const Range& columns) {
      alignas(kAlignment) std::array<float, kChunk> sum;
      add_piece(columns, sum.data());
      if (!visit(columns, sum.data())) good = false;
    });
    const auto sums = total_of([&](int64_t i) { return all_[i].sums; });
    words_of(ranks_.rank()).good = good;
    memory_->meet();  // all ranks are done, and all slices may be written again
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      if (!words_of(rank).good) good = false;
    }
    return {sums, good};
  }

  at::Tensor add_statistics(const std::vector<at::Tensor>& local) override {
    for (size_t i = 0; i < local.size(); ++i) {
      own_[i].sums.flatten().narrow(0, 0, local[i].numel()).copy_(local[i].flatten());
    }
    memory_->meet();
    const int64_t count = local[0].numel();
    const auto sum =
        total_of([&](int64_t i) { return all_[i].sums.flatten().narrow(0, 0, count); });
    memory_->meet();
    return sum.view(local[0].sizes());
  }

 private:
  static constexpr int64_t kLine = 16;  // numbers in a cache line: two ranks never share one

  Summand summand_at(int64_t index) {
    auto* bytes = memory_->data() + index * bytes_of_summand(shape_);
    auto* numbers = reinterpret_cast<double*>(bytes + shape_.rows * shape_.parameters * 4);
    return {at::from_blob(bytes, {shape_.rows, shape_.parameters}, at::kFloat),
            at::from_blob(numbers, {shape_.rows, shape_.numbers}, at::kDouble)};
  }

  // Calls work(columns) for all pieces of this rank's share, on the team.
  template <class Work>
  void for_each_piece(const Work& work) {
    const int64_t columns = shape_.rows * shape_.parameters;
    const auto share = part_of(columns / kLine, ranks_.size(), ranks_.rank());
    team_.run(team_.size(), [&](int64_t member) {
      const auto part = part_of(share.size(), team_.size(), member);
      const int64_t end = (share.begin + part.end) * kLine;
      for (int64_t begin = (share.begin + part.begin) * kLine; begin < end; begin += kChunk) {
        work(Range{begin, std::min(begin + kChunk, end)});
      }
    });
  }

  void add_piece(const Range& columns, float* sum) {
    const int64_t column = columns.begin, count = columns.size();
    if (plan_.tree) {
      add_tree(0, plan_.total, column, count, sum, 0);
    } else {
      std::copy_n(columns_of(0) + column, count, sum);
      for (int64_t i = 1; i < plan_.total; ++i) add_into(sum, sum, columns_of(i) + column, count);
    }
  }

  // What a rank tells the others. Written before a meeting and read after it: the next writing is
  // two meetings away.
  struct Words {
    bool subtree_written;
    bool good;  // what it found in the pieces that it visited
  };
  static_assert(sizeof(Words) <= kAlignment);
  Words& words_of(int rank) {
    auto* bytes = memory_->data() + (plan_.total + 1) * bytes_of_summand(shape_);
    return *reinterpret_cast<Words*>(bytes + rank * kAlignment);
  }

  // All slices are written from here on, and it is known which of them stand for subtrees.
  void meet_written(bool subtree_written) {
    words_of(ranks_.rank()).subtree_written = subtree_written;
    memory_->meet();
    written_width_.assign(plan_.total, 1);
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const auto& run = plan_.of_rank[rank];
      if (words_of(rank).subtree_written) written_width_[run.begin] = run.size();
    }
  }

  // sum = the tree over slices [first, first + width), width a power of two.
  void add_tree(int64_t first, int64_t width, int64_t column, int64_t count, float* sum,
                int level) {
    if (width == written_width_[first]) {
      std::copy_n(columns_of(first) + column, count, sum);
    } else if (width / 2 == written_width_[first] &&
               width / 2 == written_width_[first + width / 2]) {
      add_into(sum, columns_of(first) + column, columns_of(first + width / 2) + column, count);
    } else {
      std::array<float, kChunk> right;
      add_tree(first, width / 2, column, count, sum, level + 1);
      add_tree(first + width / 2, width / 2, column, count, right.data(), level + 1);
      add_into(sum, sum, right.data(), count);
    }
  }

  const float* columns_of(int64_t slice) const {
    return all_[slice].gradient.const_data_ptr<float>();
  }

  template <class Get>
  at::Tensor total_of(const Get& get) const {
    return plan_.tree ? tree_of(get, 0, plan_.total) : list_of(get);
  }
  template <class Get>
  at::Tensor tree_of(const Get& get, int64_t first, int64_t width) const {
    if (width == 1) return get(first).clone();
    return tree_of(get, first, width / 2).add_(tree_of(get, first + width / 2, width / 2));
  }
  template <class Get>
  at::Tensor list_of(const Get& get) const {
    auto sum = get(0).clone();
    for (int64_t i = 1; i < plan_.total; ++i) sum.add_(get(i));
    return sum;
  }

  comm::Communicator& ranks_;
  ThreadTeam& team_;
  SumShape shape_;
  SlicePlan plan_;
  std::unique_ptr<comm::HostMemory> memory_;
  std::vector<Summand> all_;  // of all ranks
  std::vector<Summand> own_;
  std::vector<int64_t> written_width_;  // of each slice: leaves that its gradient is the sum of
  Summand result_;
};

}  // namespace

std::unique_ptr<GradientSum> make_host_sum(comm::Communicator& ranks, ThreadTeam& team,
                                           const SumShape& shape, int64_t leaves) {
  SlicePlan plan{.total = leaves, .tree = leaves > 0};
  if (leaves > 0) {
    for (int rank = 0; rank < ranks.size(); ++rank) {
      plan.of_rank.push_back(part_of(leaves, ranks.size(), rank));
    }
  } else {
    for (const int64_t threads : team_sizes(ranks, team)) {
      plan.of_rank.push_back({plan.total, plan.total + threads});
      plan.total += threads;
    }
  }
  std::string reason;
  const int64_t bytes = HostSum::bytes_needed(shape, plan, ranks.size());
  auto memory = comm::HostMemory::create(ranks, bytes, reason);
  if (memory == nullptr) return nullptr;
  return std::make_unique<HostSum>(ranks, team, shape, std::move(plan), std::move(memory));
}

}  // namespace elbow::trainer
