#include "launch/sweep/sweep_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "launch/effective_config.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

using trainer::SettingError;

constexpr std::string_view kSweepPrefix = "sweep.";
constexpr const char* kBeta = "objective.beta";
constexpr const char* kKlWeight = "objective.kl_wt";

// beta and kl_wt are one setting in two units.
std::string one_name(const std::string& key) { return key == kBeta ? kKlWeight : key; }

// The lines of [sweep] that count, and the levels without them.
struct SweepKeys {
  std::vector<Given> axes;
  std::vector<Given> settings;
};

// Of one level: its axes by the key of their setting, its settings of the sweep, the rest.
struct SplitLevel {
  std::vector<Given> axes;
  std::vector<Given> settings;
  ConfigLevel plain;
};

SplitLevel split(const ConfigLevel& level) {
  SplitLevel parts;
  for (const Given& given : level) {
    if (!is_sweep_key(given.key)) {
      parts.plain.push_back(given);
    } else if (find_sweep_setting(given.key) != nullptr) {
      parts.settings.push_back(given);
    } else {
      parts.axes.push_back({given.key.substr(kSweepPrefix.size()), given.value, given.origin});
    }
  }
  return parts;
}

void refuse_both_kl_weights(const std::vector<Given>& axes) {
  const auto find = [&](const char* key) {
    return std::find_if(axes.begin(), axes.end(), [&](const Given& g) { return g.key == key; });
  };
  const auto beta = find(kBeta), kl_wt = find(kKlWeight);
  if (beta == axes.end() || kl_wt == axes.end()) return;
  throw SettingError(fmt::format(
      "sweep axes {} = {} ({}) and {} = {} ({}) exclude each other, because beta = "
      "kl_wt * D: give one of them",
      kBeta, shown(beta->value), beta->origin, kKlWeight, shown(kl_wt->value), kl_wt->origin));
}

// Takes the sweep's keys out of the levels, the highest first, and plain values that an axis
// replaces.
SweepKeys taken_from(std::vector<ConfigLevel>& levels) {
  SweepKeys keys;
  std::set<std::string> decided, axes, settings;
  for (ConfigLevel& level : levels) {
    SplitLevel parts = split(level);
    refuse_both_kl_weights(parts.axes);
    for (Given& axis : parts.axes) {
      if (!decided.insert(one_name(axis.key)).second) continue;
      axes.insert(one_name(axis.key));
      keys.axes.push_back(std::move(axis));
    }
    for (Given& setting : parts.settings)
      if (settings.insert(setting.key).second) keys.settings.push_back(std::move(setting));
    std::erase_if(parts.plain, [&](const Given& g) { return axes.contains(one_name(g.key)); });
    for (const Given& given : parts.plain) decided.insert(one_name(given.key));
    level = std::move(parts.plain);
  }
  return keys;
}

SweepSettings settings_from(const std::vector<Given>& given,
                            std::map<std::string, std::string>& origins) {
  SweepSettings settings;
  for (const auto& [key, value, origin] : given) {
    const SweepSetting& setting = *find_sweep_setting(key);
    origins[key] = origin;
    try {
      setting.set(settings, value);
    } catch (const BadValue& bad) {
      throw SettingError(fmt::format("{} = {} ({}) {}; allowed: {}", key, shown(value), origin,
                                     bad.what(), setting.allowed));
    }
  }
  return settings;
}

void check_seeds(const SweepConfig& sweep) {
  const int64_t last = std::numeric_limits<int64_t>::max() - sweep.settings.repeats;
  if (sweep.base.settings.train.seed <= last) return;
  throw SettingError(fmt::format(
      "train.seed = {} ({}) leaves no room for sweep.repeats = {} seeds "
      "after it: use a smaller seed",
      sweep.base.settings.train.seed, sweep.base.origin("train.seed"), sweep.settings.repeats));
}

SweepConfig sweep_from(std::vector<ConfigLevel> levels, const std::string& source) {
  const SweepKeys keys = taken_from(levels);
  std::map<std::string, std::string> origins;
  const SweepSettings settings = settings_from(keys.settings, origins);
  if (keys.axes.empty() && settings.repeats == 1) {
    throw SettingError(
        fmt::format("{} has nothing to sweep over: give an axis, such as "
                    "sweep.objective.kl_wt=logspace(1e-4,1e-1,12), or sweep.repeats",
                    source));
  }
  std::vector<Axis> axes;
  for (const Given& axis : keys.axes) {
    axes.emplace_back(*find_setting(axis.key), axis.value, axis.origin);
    origins[std::string(kSweepPrefix) + axis.key] = axis.origin;
  }
  SweepConfig sweep{.base = unchecked_config(std::move(levels)),
                    .settings = settings,
                    .origins = std::move(origins),
                    .space = SearchSpace(std::move(axes), settings)};
  check_seeds(sweep);
  for (int64_t trial = 0; trial < sweep.space.configurations(); ++trial)
    config_of(sweep, sweep.space.trial(trial));
  return sweep;
}

// The lines of [sweep]; with `what_trials_are` only those that decide them.
std::string sweep_section(const SweepConfig& sweep, bool what_trials_are) {
  static const std::set<std::string> deciding = {"sweep.search", "sweep.trials", "sweep.repeats",
                                                 "sweep.seed", "sweep.warm_start"};
  std::string text = "\n[sweep]\n";
  for (const SweepSetting& setting : sweep_setting_table()) {
    if (what_trials_are && !deciding.contains(setting.key)) continue;
    text += fmt::format("{} = {}\n", setting.member(), setting.print(sweep.settings));
  }
  for (const Axis& axis : sweep.space.axes())
    text += fmt::format("{} = {}\n", axis.key(), axis.text());
  return text;
}

}  // namespace

SweepConfig parse_sweep(const std::filesystem::path& file, const std::vector<std::string>& words,
                        const Environment& environment) {
  SweepConfig sweep = sweep_from(
      {level_from_words(words), level_from_environment(environment), level_from_file(file)},
      file.string());
  sweep.base.name = file.stem().string();
  return sweep;
}

SweepConfig parse_sweep_text(std::string_view text, const std::string& source,
                             const std::vector<std::string>& words) {
  SweepConfig sweep = sweep_from({level_from_words(words), level_from_text(text, source)}, source);
  sweep.base.name = std::filesystem::path(source).stem().string();
  return sweep;
}

bool describes_sweep(const std::filesystem::path& file) {
  const auto level = level_from_file(file);
  return std::any_of(level.begin(), level.end(),
                     [](const Given& given) { return is_sweep_key(given.key); });
}

ParsedConfig first_config(const std::optional<std::filesystem::path>& file,
                          const std::vector<std::string>& words, const Environment& environment) {
  if (!file || !describes_sweep(*file)) return parse_config(file, words, environment);
  const auto sweep = parse_sweep(*file, words, environment);
  return config_of(sweep, sweep.space.trial(0));
}

bool SweepConfig::has_data_axis() const {
  return std::ranges::any_of(space.axes(),
                             [](const auto& axis) { return axis.key().starts_with("data."); });
}

std::string effective_sweep(const SweepConfig& sweep) {
  return effective_config(sweep.base, /*observed=*/std::nullopt) +
         sweep_section(sweep, /*what_trials_are=*/false);
}

std::string sweep_fingerprint(const SweepConfig& sweep) {
  std::string text = sweep_section(sweep, /*what_trials_are=*/true);
  for (const Setting& setting : setting_table()) {
    if (!setting.may_change)
      text += fmt::format("{} = {}\n", setting.key, setting.print(sweep.base.settings));
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  return fmt::format("{:016x}", trainer::seal_of({bytes, text.size()}).xxh3);
}

ParsedConfig config_of(const SweepConfig& sweep, const TrialPlan& plan) {
  ParsedConfig config = sweep.base;
  const auto& axes = sweep.space.axes();
  for (size_t i = 0; i < axes.size(); ++i) {
    const Setting& setting = *find_setting(axes[i].key());
    if (one_name(setting.key) == kKlWeight) {
      config.settings.objective.beta.reset();
      config.settings.objective.kl_wt.reset();
    }
    config.origins[setting.key] = "axis of the sweep, " + axes[i].origin();
    try {
      setting.set(config.settings, plan.values[i]);
    } catch (const BadValue& bad) {
      throw SettingError(
          fmt::format("sweep axis {} = {} ({}) has the value '{}' that {}; allowed: "
                      "{}",
                      setting.key, shown(axes[i].text()), axes[i].origin(), shown(plan.values[i]),
                      bad.what(), setting.allowed));
    }
  }
  config.settings.train.seed += plan.repeat;
  try {
    check_config(config);
  } catch (const SettingError& error) {
    throw SettingError(fmt::format("trial {} of the sweep ({}) cannot be: {}", plan.number,
                                   shown(described(sweep, plan)), error.what()));
  }
  return config;
}

std::string described(const SweepConfig& sweep, const TrialPlan& plan) {
  std::vector<std::string> parts;
  const auto& axes = sweep.space.axes();
  for (size_t i = 0; i < axes.size(); ++i)
    parts.push_back(fmt::format("{} = {}", axes[i].key(), plan.values[i]));
  if (sweep.settings.repeats > 1) {
    parts.push_back(fmt::format("train.seed = {}", sweep.base.settings.train.seed + plan.repeat));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace elbow::launch::sweep
