#include "launch/sweep/asha.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace elbow::launch::sweep {

bool Asha::is_rung(int64_t epoch) const {
  while (epoch > settings_.min_epochs && epoch % settings_.reduction == 0)
    epoch /= settings_.reduction;
  return epoch == settings_.min_epochs;
}

void Asha::tell(int64_t trial, int64_t epoch, double value) {
  Told& told = trials_[trial];
  told.epoch = epoch;
  told.furthest = std::max(told.furthest, epoch);
  told.finite = std::isfinite(value);
  if (!is_rung(epoch) || !told.finite) return;
  auto& rung = rungs_[epoch];
  const auto earlier = told.at_rungs.find(epoch);
  if (earlier != told.at_rungs.end())
    rung.erase(std::lower_bound(rung.begin(), rung.end(), Scored(earlier->second, trial)));
  const Scored scored(settings_.larger_is_better ? -value : value, trial);
  rung.insert(std::lower_bound(rung.begin(), rung.end(), scored), scored);
  told.at_rungs[epoch] = scored.first;
}

Asha::Standing Asha::standing(int64_t trial, const Told& told) const {
  const auto& rung = rungs_.at(told.epoch);
  const Scored own(told.at_rungs.at(told.epoch), trial);
  const auto among = static_cast<int64_t>(rung.size());
  return {.rank = std::lower_bound(rung.begin(), rung.end(), own) - rung.begin() + 1,
          .among = among,
          .go_on = std::max<int64_t>(1, among / settings_.reduction)};
}

Decision Asha::decide(int64_t trial) const {
  const auto found = trials_.find(trial);
  if (found == trials_.end()) return Decision::kGoOn;
  const Told& told = found->second;
  if (!told.finite) return Decision::kStop;
  if (!is_rung(told.epoch) || told.furthest > told.epoch) return Decision::kGoOn;
  const Standing here = standing(trial, told);
  return here.rank <= here.go_on ? Decision::kGoOn : Decision::kStop;
}

std::string Asha::reason(int64_t trial) const {
  const auto found = trials_.find(trial);
  if (found == trials_.end()) return "nothing was told of it";
  const Told& told = found->second;
  if (!told.finite) return fmt::format("its value at epoch {} is not finite", told.epoch);
  if (!is_rung(told.epoch)) return fmt::format("epoch {} is no rung", told.epoch);
  const Standing here = standing(trial, told);
  return fmt::format(
      "rank {} of the {} trials that have reached epoch {}, of which the best {} go "
      "on",
      here.rank, here.among, told.epoch, here.go_on);
}

}  // namespace elbow::launch::sweep
