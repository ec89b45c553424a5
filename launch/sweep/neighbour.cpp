#include "launch/sweep/neighbour.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "launch/number_text.h"

namespace elbow::launch::sweep {
namespace {

// How far apart two weights are; a weight of 0 is far from all others.
double distance(const std::string& a, const std::string& b) {
  static constexpr double kLeast = 1e-12;
  const auto place = [](const std::string& weight) {
    return std::log(std::max(number_from_text(weight).value_or(0), kLeast));
  };
  return std::abs(place(a) - place(b));
}

}  // namespace

std::optional<int64_t> nearest_complete(const SearchSpace& space, const TrialPlan& plan,
                                        const LedgerContents& contents) {
  const auto& axes = space.axes();
  const auto weight = std::find_if(axes.begin(), axes.end(), [](const Axis& axis) {
    return axis.key() == "objective.beta" || axis.key() == "objective.kl_wt";
  });
  if (weight == axes.end()) return std::nullopt;
  const auto along = static_cast<size_t>(weight - axes.begin());
  std::optional<int64_t> nearest;
  double least = std::numeric_limits<double>::infinity();
  for (const LedgerTrial& trial : contents.trials) {
    if (trial.state != TrialState::kComplete || trial.number == plan.number ||
        trial.number / space.configurations() != plan.repeat)
      continue;
    auto values = trial.values;
    values[along] = plan.values[along];
    if (values != plan.values) continue;
    const double apart = distance(trial.values[along], plan.values[along]);
    if (apart < least || (apart == least && trial.number < *nearest)) {
      least = apart;
      nearest = trial.number;
    }
  }
  return nearest;
}

}  // namespace elbow::launch::sweep
