#include "launch/sweep/median_stopping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbow::launch::sweep {
namespace {

void remove_from(std::vector<double>& sorted, double value) {
  sorted.erase(std::lower_bound(sorted.begin(), sorted.end(), value));
}

void insert_into(std::vector<double>& sorted, double value) {
  sorted.insert(std::lower_bound(sorted.begin(), sorted.end(), value), value);
}

}  // namespace

void MedianStopping::tell(int64_t trial, int64_t epoch, double value) {
  Told& told = trials_[trial];
  told.epoch = epoch;
  told.finite = std::isfinite(value);
  if (!told.finite) return;
  auto& here = averages_[epoch];
  if (told.averages.contains(epoch)) remove_from(here, told.averages.at(epoch));
  told.scores[epoch] = settings_.larger_is_better ? -value : value;
  double sum = 0, count = 0;
  for (const auto& [at, score] : told.scores) {
    if (at > epoch) break;
    sum += score;
    ++count;
  }
  told.averages[epoch] = sum / count;
  insert_into(here, sum / count);
}

double MedianStopping::best(const Told& told) const {
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto& [at, score] : told.scores)
    if (at <= told.epoch) lowest = std::min(lowest, score);
  return lowest;
}

std::optional<double> MedianStopping::median_of_others(const Told& told) const {
  auto others = averages_.at(told.epoch);
  remove_from(others, told.averages.at(told.epoch));
  if (others.size() < static_cast<size_t>(settings_.startup_trials)) return std::nullopt;
  const size_t middle = others.size() / 2;
  return others.size() % 2 == 1 ? others[middle] : 0.5 * (others[middle - 1] + others[middle]);
}

Decision MedianStopping::decide(int64_t trial) const {
  const auto found = trials_.find(trial);
  if (found == trials_.end()) return Decision::kGoOn;
  const Told& told = found->second;
  if (!told.finite) return Decision::kStop;
  if (told.epoch < settings_.min_epochs) return Decision::kGoOn;
  const auto median = median_of_others(told);
  return median && best(told) > *median ? Decision::kStop : Decision::kGoOn;
}

std::string MedianStopping::reason(int64_t trial) const {
  const auto found = trials_.find(trial);
  if (found == trials_.end()) return "nothing was told of it";
  const Told& told = found->second;
  if (!told.finite) return fmt::format("its value at epoch {} is not finite", told.epoch);
  const auto median = median_of_others(told);
  if (!median) return fmt::format("too few others have come to epoch {}", told.epoch);
  const double sign = settings_.larger_is_better ? -1 : 1;
  return fmt::format(
      "its best value so far is {:.6g}, and the median of the others' means up to "
      "epoch {} is {:.6g}",
      sign * best(told), told.epoch, sign * *median);
}

}  // namespace elbow::launch::sweep
