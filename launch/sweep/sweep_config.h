// A sweep's configuration: a trial's settings as ever, and in [sweep] the settings of the sweep and
// its axes, which are lines named by the key of a setting:
//
//   [sweep]
//   search = grid
//   objective.kl_wt = logspace(1e-4, 1e-1, 12)
//
// On the command line the same is sweep.objective.kl_wt=…, in the environment
// ELBOW_CFG_SWEEP__OBJECTIVE__KL_WT. Precedence is that of all settings, and beta and kl_wt are one
// setting: an axis of a level replaces the plain value of its own and lower levels, and a plain
// value of a higher level replaces the axis.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/config.h"
#include "launch/sweep/search_space.h"
#include "launch/sweep/sweep_settings.h"

namespace elbow::launch::sweep {

struct SweepConfig {
  ParsedConfig base;  // what the axes leave alone; not checked as a whole, the trials are
  SweepSettings settings;
  std::map<std::string, std::string> origins;  // of [sweep]'s keys, as in ParsedConfig
  SearchSpace space;

  const std::string& name() const { return base.name; }  // of the file, without folder and ending
  bool has_data_axis() const;                            // trials may differ in their data
};

// Throws trainer::SettingError: one sentence with the key, its value, its origin, what is allowed
// and what to do. Every trial's configuration is checked: where one is invalid the sentence names
// the trial and the values of its axes. A file without axes is a usage error.
SweepConfig parse_sweep(const std::filesystem::path& file, const std::vector<std::string>& words,
                        const Environment& environment);
// The same from a text, such as SWEEP/sweep.cfg, or what rank 0 sends the others.
SweepConfig parse_sweep_text(std::string_view text, const std::string& source,
                             const std::vector<std::string>& words = {});
// Whether the file has anything in [sweep]. trainer::SettingError where it cannot be read.
bool describes_sweep(const std::filesystem::path& file);

// SWEEP/sweep.cfg: every key, loadable again; parse_sweep_text() gives the same sweep.
std::string effective_sweep(const SweepConfig& sweep);

// What decides a sweep's trials: sweeps with equal fingerprints have the same trials with the same
// numbers (16 hexadecimal digits). Settings that may change when a run is resumed are left out, and
// so are those of groups and retries.
std::string sweep_fingerprint(const SweepConfig& sweep);

// A trial's whole configuration: the base, its axes' values, and train.seed + repeat.
ParsedConfig config_of(const SweepConfig& sweep, const TrialPlan& plan);

// "objective.kl_wt = 0.001, train.seed = 2": what tells the trial from the others.
std::string described(const SweepConfig& sweep, const TrialPlan& plan);

// Of a file that may be a sweep's or a run's, or of none: a sweep's first trial stands for all.
// Errors as of parse_sweep() and parse_config().
ParsedConfig first_config(const std::optional<std::filesystem::path>& file,
                          const std::vector<std::string>& words, const Environment& environment);

}  // namespace elbow::launch::sweep
