#include "launch/sweep/warm_starts.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "launch/number_text.h"

namespace elbow::launch::sweep {
namespace {

constexpr int64_t kNone = -1;

// Where the axis of the KL's weight stands; axes.size(): there is none.
size_t place_of_weight(const std::vector<Axis>& axes) {
  const auto found = std::find_if(axes.begin(), axes.end(), [](const Axis& axis) {
    return axis.key() == "objective.beta" || axis.key() == "objective.kl_wt";
  });
  return static_cast<size_t>(found - axes.begin());
}

}  // namespace

WarmStarts::WarmStarts(const SweepConfig& sweep) {
  if (!sweep.settings.warm_start) return;
  const auto& space = sweep.space;
  sources_.assign(static_cast<size_t>(space.trials()), kNone);
  const size_t weight = place_of_weight(space.axes());
  if (weight == space.axes().size()) return;

  // By repetition and the other axes' values: (weight, trial), in rising order.
  std::map<std::tuple<int64_t, std::vector<std::string>>, std::vector<std::pair<double, int64_t>>>
      families;
  for (int64_t trial = 0; trial < space.trials(); ++trial) {
    auto plan = space.trial(trial);
    const double value = number_from_text(plan.values[weight]).value_or(0);
    plan.values[weight].clear();
    families[{plan.repeat, plan.values}].emplace_back(value, trial);
  }
  for (auto& [others, family] : families) {
    std::sort(family.begin(), family.end());
    for (size_t i = 1; i < family.size(); ++i)
      sources_[static_cast<size_t>(family[i].second)] = family[i & (i - 1)].second;
    any_ = any_ || family.size() > 1;
  }
}

bool WarmStarts::ready(int64_t trial, const LedgerContents& contents) const {
  if (!any_) return true;
  const int64_t source = sources_.at(static_cast<size_t>(trial));
  if (source == kNone) return true;
  const auto* known = contents.find(source);
  return known != nullptr && is_finished(known->state);
}

std::optional<int64_t> WarmStarts::source_of(int64_t trial, const LedgerContents& contents) const {
  if (!any_) return std::nullopt;
  for (int64_t source = sources_.at(static_cast<size_t>(trial)); source != kNone;
       source = sources_[static_cast<size_t>(source)]) {
    const auto* known = contents.find(source);
    if (known != nullptr && known->state == TrialState::kComplete) return source;
  }
  return std::nullopt;
}

}  // namespace elbow::launch::sweep
