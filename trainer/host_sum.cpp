// The sum of ranks that share a host: slices are written where every rank can read them, and each
// rank adds some of the columns over all slices of all ranks. No message is sent.
//
// A shared-out sum is made of blocks of columns, which ranks take in turn from the last to the
// first. That is the order in which backward passes write them, so a rank that is done early does
// not wait for the others: it adds what they have written so far.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>

#include "comm/host_memory.h"
#include "models/simd.h"
#include "trainer/gradient_sum.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kChunk = 2048;  // columns at a time: all partial sums of a chunk stay in cache
constexpr int64_t kLargestBlock = 8 * kChunk;
constexpr int64_t kAlignment = 64;
constexpr uint64_t kRound = uint64_t{1} << 40;  // more than there are columns

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
  bool tree;        // added as leaves of the binary tree, else from first to last
  int64_t threads;  // of all ranks
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
        memory_(std::move(memory)),
        columns_(shape.rows * shape.parameters),
        block_(std::clamp(columns_ / (8 * plan_.threads) / kLine * kLine, kLine, kLargestBlock)) {
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
    return (plan.total + 1) * bytes_of_summand(shape) + (ranks + plan.total + 2) * kAlignment;
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

  void written_from(const Range& slices, int64_t column) override {
    const auto& own = plan_.of_rank[ranks_.rank()];
    words_of(ranks_.rank()).subtree_written = slices.size() == own.size();
    for (int64_t i = slices.begin; i < slices.end; ++i)
      written_of(own.begin + i) = round_ * kRound + static_cast<uint64_t>(columns_ - column);
  }

  const Summand& add(bool subtree_written) override {
    words_of(ranks_.rank()).subtree_written = subtree_written;
    memory_->meet();
    see_subtrees();
    float* sum = result_.gradient.mutable_data_ptr<float>();
    const auto share = part_of(columns_ / kLine, ranks_.size(), ranks_.rank());
    team_.run(team_.size(), [&](int64_t member) {
      const auto part = part_of(share.size(), team_.size(), member);
      for_each_chunk({(share.begin + part.begin) * kLine, (share.begin + part.end) * kLine},
                     [&](const Range& columns) { add_piece(columns, sum + columns.begin); });
    });
    result_.sums.copy_(total_of([&](int64_t i) { return all_[i].sums; }));
    memory_->meet();  // the sum is whole, and all slices may be written again
    return result_;
  }

  bool shares_columns() const override { return true; }

  SharedOut add_columns(const VisitColumns& visit, bool subtree_written) override {
    auto& own_words = words_of(ranks_.rank());
    own_words.subtree_written = subtree_written;
    const auto& own = plan_.of_rank[ranks_.rank()];
    for (int64_t i = own.begin; i < own.end; ++i) written_of(i) = whole();
    own_words.good = visit_blocks(visit);
    const auto sums = total_of([&](int64_t i) { return all_[i].sums; });
    blocks_taken(round_ + 1) = 0;  // by every rank, before any takes one of the next round
    memory_->meet();               // all ranks are done, and all slices may be written again
    ++round_;
    bool good = true;
    for (int rank = 0; rank < ranks_.size(); ++rank) good = good && words_of(rank).good;
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

  template <class Work>
  static void for_each_chunk(const Range& columns, const Work& work) {
    for (int64_t begin = columns.begin; begin < columns.end; begin += kChunk)
      work(Range{begin, std::min(begin + kChunk, columns.end)});
  }

  // Takes blocks until none is left, and returns when all slices are written whole. Whether all
  // visits returned true.
  bool visit_blocks(const VisitColumns& visit) {
    const comm::Communicator::Waiting waiting(ranks_);
    for (const auto& run : plan_.of_rank)
      memory_->await(written_of(run.begin), round_ * kRound + 1);
    see_subtrees();
    std::atomic<bool> good{true};
    auto& taken = blocks_taken(round_);
    team_.run(team_.size(), [&](int64_t) {
      alignas(kAlignment) std::array<float, kChunk> sum;
      for (int64_t end; (end = columns_ - block_ * static_cast<int64_t>(taken++)) > 0;) {
        const int64_t begin = std::max(end - block_, int64_t{0});
        await_written(round_ * kRound + static_cast<uint64_t>(columns_ - begin));
        for_each_chunk({begin, end}, [&](const Range& columns) {
          add_piece(columns, sum.data());
          if (!visit(columns, sum.data())) good = false;
        });
      }
    });
    await_written(whole());
    return good;
  }

  // Of every slice that is read; the others are known to be in a subtree.
  void await_written(uint64_t value) {
    for (int64_t i = 0; i < plan_.total; i += written_width_[i])
      memory_->await(written_of(i), value);
  }

  void add_piece(const Range& columns, float* sum) {
    const int64_t column = columns.begin, count = columns.size();
    if (plan_.tree) {
      add_tree(0, plan_.total, column, count, sum, 0);
    } else if (plan_.total == 1) {
      std::copy_n(columns_of(0) + column, count, sum);
    } else {
      add_into(sum, columns_of(0) + column, columns_of(1) + column, count);
      for (int64_t i = 2; i < plan_.total; ++i) add_into(sum, sum, columns_of(i) + column, count);
    }
  }

  // What a rank tells the others.
  struct Words {
    std::atomic<bool> subtree_written;  // before the first of its slices is, in part or whole
    std::atomic<bool> good;  // what it found in the blocks that it visited; before a meeting
  };

  // Behind all summands: a line for each rank's words, for each slice's progress and for the blocks
  // taken in a round and in the next.
  template <class Word>
  Word& line(int64_t index) {
    auto* bytes = memory_->data() + (plan_.total + 1) * bytes_of_summand(shape_);
    static_assert(sizeof(Word) <= kAlignment);
    return *reinterpret_cast<Word*>(bytes + index * kAlignment);
  }
  Words& words_of(int rank) { return line<Words>(rank); }
  // rounds * kRound + columns of this round, from the last on; whole() with its sums, too.
  std::atomic<uint64_t>& written_of(int64_t slice) {
    return line<std::atomic<uint64_t>>(ranks_.size() + slice);
  }
  uint64_t whole() const { return round_ * kRound + static_cast<uint64_t>(columns_) + 1; }
  std::atomic<uint64_t>& blocks_taken(uint64_t round) {
    return line<std::atomic<uint64_t>>(ranks_.size() + plan_.total +
                                       static_cast<int64_t>(round % 2));
  }

  // Which slices stand for subtrees, once every rank has said so.
  void see_subtrees() {
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
  int64_t columns_;           // of a summand
  int64_t block_;             // columns that a thread takes at a time
  uint64_t round_ = 0;        // shared-out sums that are done
  std::vector<Summand> all_;  // of all ranks
  std::vector<Summand> own_;
  std::vector<int64_t> written_width_;  // of each slice: leaves that its gradient is the sum of
  Summand result_;
};

}  // namespace

std::unique_ptr<GradientSum> make_host_sum(comm::Communicator& ranks, ThreadTeam& team,
                                           const SumShape& shape, int64_t leaves) {
  const auto threads = team_sizes(ranks, team);
  SlicePlan plan{.total = leaves,
                 .tree = leaves > 0,
                 .threads = std::accumulate(threads.begin(), threads.end(), int64_t{0})};
  if (leaves > 0) {
    for (int rank = 0; rank < ranks.size(); ++rank) {
      plan.of_rank.push_back(part_of(leaves, ranks.size(), rank));
    }
  } else {
    for (const int64_t slices : threads) {
      plan.of_rank.push_back({plan.total, plan.total + slices});
      plan.total += slices;
    }
  }
  std::string reason;
  const int64_t bytes = HostSum::bytes_needed(shape, plan, ranks.size());
  auto memory = comm::HostMemory::create(ranks, bytes, reason);
  if (memory == nullptr) return nullptr;
  return std::make_unique<HostSum>(ranks, team, shape, std::move(plan), std::move(memory));
}

}  // namespace elbow::trainer
