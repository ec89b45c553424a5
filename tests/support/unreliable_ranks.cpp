#include "tests/support/unreliable_ranks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "comm/error.h"

namespace elbow::tests {
namespace {

using comm::Communicator;

// What is left to happen to one rank, whichever group it is in.
struct Plan {
  comm::ThreadWorld& world;
  int rank;
  std::vector<Fault> faults;
};

class UnreliableRank final : public Communicator {
 public:
  UnreliableRank(std::unique_ptr<Communicator> inner, std::shared_ptr<Plan> plan)
      : inner_(std::move(inner)), plan_(std::move(plan)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::string backend() const override { return inner_->backend(); }
  std::string host(int rank) const override { return inner_->host(rank); }
  int lost_rank() override { return inner_->lost_rank(); }
  bool agree(bool yes) override { return inner_->agree(yes); }
  void wait() override { inner_->wait(); }
  at::Tensor abort_word() override { return abort_word_; }

  void at(int64_t step, const char* phase) override {
    Communicator::at(step, phase);
    inner_->at(step, phase);
    operation_ = 0;
    const auto fault = due();
    if (!fault) return;
    plan_->world.lose(plan_->rank);
    throw comm::RankKilled{plan_->rank};
  }

  void all_reduce_sum(at::Tensor tensor) override {
    run([&] { inner_->all_reduce_sum(tensor); }, tensor);
  }
  void all_reduce_max(at::Tensor tensor) override {
    run([&] { inner_->all_reduce_max(tensor); }, tensor);
  }
  void all_gather(const at::Tensor& input, at::Tensor output,
                  std::span<const int64_t> counts) override {
    run([&] { inner_->all_gather(input, output, counts); }, output);
  }
  void broadcast(at::Tensor tensor, int root) override {
    run([&] { inner_->broadcast(tensor, root); }, tensor);
  }
  void barrier() override {
    run([&] { inner_->barrier(); }, {});
  }
  std::unique_ptr<Communicator> split(int color, int key) override {
    return inner_->split(color, key);
  }
  std::unique_ptr<Communicator> shrink() override {
    return std::make_unique<UnreliableRank>(inner_->shrink(), plan_);
  }

 private:
  void run(const auto& operation, const at::Tensor& result) {
    ++operation_;
    const auto fault = due();
    if (fault && fault->dies == plan_->rank) plan_->world.lose(plan_->rank);
    operation();
    const auto earlier = std::exchange(latest_, result);
    if (!fault) return;
    plan_->world.lose(fault->dies);
    if (fault->cuts_short) {
      abort_word_.fill_(1);
      earlier.zero_();
      return;
    }
    throw comm::PeerLost(-1, "", step(), phase(), "an operation that others finished");
  }

  std::optional<Fault> due() {
    const auto found = std::ranges::find_if(plan_->faults, [&](const Fault& fault) {
      return fault.step == step() && fault.phase == phase() && fault.operation == operation_;
    });
    if (found == plan_->faults.end()) return std::nullopt;
    const Fault fault = *found;
    plan_->faults.erase(found);
    return fault;
  }

  std::unique_ptr<Communicator> inner_;
  std::shared_ptr<Plan> plan_;
  int operation_ = 0;  // in the present phase
  at::Tensor latest_;  // what the latest operation gave
  at::Tensor abort_word_ = at::zeros({1}, at::kInt);
};

}  // namespace

std::unique_ptr<Communicator> make_unreliable(std::unique_ptr<Communicator> inner,
                                              comm::ThreadWorld& world, int rank,
                                              const std::vector<Fault>& faults) {
  auto plan = std::make_shared<Plan>(Plan{world, rank, {}});
  std::ranges::copy_if(faults, std::back_inserter(plan->faults),
                       [&](const Fault& fault) { return fault.rank == rank; });
  return std::make_unique<UnreliableRank>(std::move(inner), std::move(plan));
}

}  // namespace elbow::tests
