#include "launch/sweep/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "launch/config_level.h"
#include "launch/sweep/sobol.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

using trainer::SettingError;

size_t place_in_table(const Axis& axis) {
  const auto& keys = setting_keys();
  return static_cast<size_t>(std::find(keys.begin(), keys.end(), axis.key()) - keys.begin());
}

bool draws(const std::string& search) { return search == "random" || search == "sobol"; }

// Configurations of grid and list, which need axes with values.
int64_t finite_configurations(const std::vector<Axis>& axes, const std::string& search) {
  int64_t count = 1;
  for (const Axis& axis : axes) {
    if (!axis.is_finite()) {
      throw SettingError(
          fmt::format("sweep.search = {} needs axes with values, but {} = {} ({}) is drawn: use "
                      "sweep.search=sobol, or logspace(a, b, n)",
                      search, axis.key(), axis.text(), axis.origin()));
    }
    const auto values = static_cast<int64_t>(axis.values().size());
    if (search == "grid") {
      count = std::min(count * values, SearchSpace::kMostTrials + 1);
    } else if (&axis != &axes.front() && values != count) {
      throw SettingError(
          fmt::format("sweep.search = list takes the values of all axes side by side, but {} has "
                      "{} values and {} has {}: give all axes as many, or use sweep.search=grid",
                      axes.front().key(), count, axis.key(), values));
    } else {
      count = values;
    }
  }
  return count;
}

int64_t configurations_of(const std::vector<Axis>& axes, const SweepSettings& settings) {
  if (draws(settings.search)) {
    if (settings.trials == 0) {
      throw SettingError(
          fmt::format("sweep.search = {} needs sweep.trials, how many "
                      "configurations to draw, such as sweep.trials=32",
                      settings.search));
    }
    if (axes.size() > static_cast<size_t>(kMostSobolDimensions))
      throw SettingError("a sweep cannot have so many axes");
    return settings.trials;
  }
  const int64_t count = finite_configurations(axes, settings.search);
  if (settings.trials != 0 && settings.trials != count) {
    throw SettingError(
        fmt::format("sweep.trials = {} has no effect with sweep.search = {}, whose axes have {} "
                    "configurations: remove it, or use sweep.search=sobol",
                    settings.trials, settings.search,
                    count > SearchSpace::kMostTrials ? "too many" : std::to_string(count)));
  }
  return count;
}

void check_seeds(const std::vector<Axis>& axes, const SweepSettings& settings) {
  for (const Axis& axis : axes) {
    if (axis.key() != "train.seed" || settings.repeats == 1) continue;
    throw SettingError(
        fmt::format("train.seed = {} ({}) is an axis, and sweep.repeats = {} chooses seeds too: "
                    "keep one of them",
                    axis.text(), axis.origin(), settings.repeats));
  }
}

// A value twice is a slip of the pen: what is wanted twice is wanted with another seed.
void refuse_repeated_values(const std::vector<Axis>& axes) {
  for (const Axis& axis : axes) {
    const auto value = axis.repeated_value();
    if (value.empty()) continue;
    throw SettingError(
        fmt::format("sweep axis {} = {} ({}) has the value '{}' twice, which would train the same "
                    "trial twice: write it once, or train each trial with several seeds by "
                    "sweep.repeats=2",
                    axis.key(), shown(axis.text()), axis.origin(), shown(value)));
  }
}

}  // namespace

SearchSpace::SearchSpace(std::vector<Axis> axes, const SweepSettings& settings)
    : axes_(std::move(axes)),
      search_(settings.search),
      seed_(static_cast<uint64_t>(settings.seed)),
      repeats_(settings.repeats) {
  std::stable_sort(axes_.begin(), axes_.end(), [](const Axis& a, const Axis& b) {
    return place_in_table(a) < place_in_table(b);
  });
  check_seeds(axes_, settings);
  configurations_ = configurations_of(axes_, settings);
  if (search_ == "list") {
    refuse_repeated_lines();
  } else {
    refuse_repeated_values(axes_);
  }
  if (configurations_ > kMostTrials || trials() > kMostTrials) {
    throw SettingError(
        fmt::format("the sweep has more than {} trials: give its axes fewer values, or draw "
                    "sweep.trials of them with sweep.search=sobol",
                    kMostTrials));
  }
}

// In a list a value may stand beside several others, but not all values beside the same again.
void SearchSpace::refuse_repeated_lines() const {
  std::map<std::vector<std::string>, int64_t> known;
  for (int64_t i = 0; i < configurations_; ++i) {
    const auto [found, added] = known.emplace(grid_values(i), i);
    if (added || axes_.empty()) continue;
    throw SettingError(
        fmt::format("the axes of sweep.search = list have the same values at places {} and {} ({} "
                    "= {}), which would train the same trial twice: write them once, or train each "
                    "trial with several seeds by sweep.repeats=2",
                    found->second + 1, i + 1, axes_.front().key(), found->first.front()));
  }
}

TrialPlan SearchSpace::trial(int64_t number) const {
  TrialPlan plan{.number = number,
                 .configuration = number % configurations_,
                 .repeat = number / configurations_};
  plan.values = draws(search_) ? drawn_values(plan.configuration) : grid_values(plan.configuration);
  return plan;
}

// The last axis changes fastest; in a list all change together.
std::vector<std::string> SearchSpace::grid_values(int64_t configuration) const {
  std::vector<std::string> values(axes_.size());
  for (size_t i = axes_.size(); i-- > 0;) {
    const auto& all = axes_[i].values();
    const auto count = static_cast<int64_t>(all.size());
    values[i] = all[static_cast<size_t>(configuration % count)];
    if (search_ == "grid") configuration /= count;
  }
  return values;
}

std::vector<std::string> SearchSpace::drawn_values(int64_t configuration) const {
  const auto count = static_cast<int64_t>(axes_.size());
  std::vector<double> shares;
  if (search_ == "sobol" && count > 0) {
    shares = sobol_point(seed_, configuration, count);
  } else {
    for (int64_t i = 0; i < count; ++i) shares.push_back(drawn_share(seed_, configuration, i));
  }
  std::vector<std::string> values;
  for (size_t i = 0; i < axes_.size(); ++i) values.push_back(axes_[i].at_share(shares[i]));
  return values;
}

}  // namespace elbow::launch::sweep
