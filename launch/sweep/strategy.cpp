#include "launch/sweep/strategy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "launch/sweep/asha.h"
#include "launch/sweep/median_stopping.h"

namespace elbow::launch::sweep {
namespace {

class NoPruning : public Strategy {
 public:
  void tell(int64_t trial, int64_t, double value) override {
    finite_[trial] = std::isfinite(value);
  }
  Decision decide(int64_t trial) const override {
    const auto found = finite_.find(trial);
    return found == finite_.end() || found->second ? Decision::kGoOn : Decision::kStop;
  }
  std::string reason(int64_t trial) const override {
    return decide(trial) == Decision::kGoOn ? "no trial is pruned" : "its value is not finite";
  }

 private:
  std::map<int64_t, bool> finite_;
};

}  // namespace

std::unique_ptr<Strategy> make_strategy(const SweepSettings& settings) {
  const bool larger = larger_is_better(settings.metric);
  if (settings.pruning == "asha") {
    return std::make_unique<Asha>(AshaSettings{.min_epochs = settings.min_epochs,
                                               .reduction = settings.reduction,
                                               .larger_is_better = larger});
  }
  if (settings.pruning == "median") {
    return std::make_unique<MedianStopping>(
        MedianSettings{.min_epochs = settings.min_epochs,
                       .startup_trials = settings.startup_trials,
                       .larger_is_better = larger});
  }
  return std::make_unique<NoPruning>();
}

void tell_all(Strategy& strategy, const LedgerContents& contents) {
  for (const EpochReported& told : contents.tells)
    strategy.tell(told.trial, told.epoch, told.value);
}

TrialQueue::TrialQueue(int64_t trials, const Shard& shard,
                       std::function<int64_t(int64_t trial)> shape_of) {
  for (int64_t trial = trials - 1; trial >= 0; --trial) {
    if (!shard.has(trial)) continue;
    const auto shape = static_cast<size_t>(shape_of(trial));
    if (waiting_.size() <= shape) waiting_.resize(shape + 1);
    waiting_[shape].push_back(trial);
    ++left_;
  }
}

void TrialQueue::remove_started(const LedgerContents& contents) {
  for (auto& trials : waiting_) {
    left_ -= static_cast<int64_t>(
        std::erase_if(trials, [&](int64_t trial) { return contents.find(trial) != nullptr; }));
  }
}

std::optional<int64_t> TrialQueue::ask(int64_t shape, const Ready& ready) {
  if (left(shape) == 0) return std::nullopt;
  auto& trials = waiting_[static_cast<size_t>(shape)];
  const auto lowest = ready ? std::find_if(trials.rbegin(), trials.rend(), ready) : trials.rbegin();
  if (lowest == trials.rend()) return std::nullopt;
  const int64_t trial = *lowest;
  trials.erase(std::next(lowest).base());
  --left_;
  return trial;
}

std::optional<int64_t> TrialQueue::ask_fullest(const Ready& ready) {
  if (left_ == 0) return std::nullopt;
  std::vector<int64_t> shapes(waiting_.size());
  std::iota(shapes.begin(), shapes.end(), 0);
  while (!shapes.empty()) {
    const auto fullest = std::max_element(
        shapes.begin(), shapes.end(), [this](int64_t a, int64_t b) { return left(a) < left(b); });
    if (const auto trial = ask(*fullest, ready)) return trial;
    shapes.erase(fullest);
  }
  return std::nullopt;
}

int64_t TrialQueue::left(int64_t shape) const {
  const auto index = static_cast<size_t>(shape);
  return index < waiting_.size() ? static_cast<int64_t>(waiting_[index].size()) : 0;
}

}  // namespace elbow::launch::sweep
