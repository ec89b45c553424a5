// The settings of a sweep that are no axes: keys of the section [sweep]. They belong to the sweep
// as a whole; what one trial is trained with is trainer::Settings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/setting_kinds.h"

namespace elbow::launch::sweep {

struct SweepSettings {
  std::string search = "grid";  // grid: every combination | list: the i-th values of all axes |
                                // random | sobol
  int64_t trials = 0;           // random, sobol: configurations to draw; 0 (auto): as many as
                                // there are, for grid and list
  int64_t repeats = 1;          // of each configuration, with train.seed, train.seed + 1, ...
  int64_t seed = 1;             // what random draws and Sobol's shift follow from
  std::string metric = "elbo_nats";  // elbo_nats (larger is better) | loss | recon_nats | kl_nats,
                                     // of validation, or of test where there is none
  std::string pruning = "none";      // none | asha | median
  int64_t min_epochs = 1;            // asha: the first rung; median: no trial is stopped before
  int64_t reduction = 3;             // asha: of the trials at a rung, one in so many goes on
  int64_t startup_trials = 5;   // median: others that must have come as far, before one is stopped
  int64_t ranks_per_group = 0;  // 0 is auto
  int64_t rows_per_pack = 0;    // 0 is auto
  int64_t retries = 2;          // of a trial that fails
  bool warm_start = false;      // begin with the weights of a neighbour along the weight of the KL
};

using SweepSetting = SettingOf<SweepSettings>;

// Every key of [sweep] but the axes, in the order of sweep.cfg. Keys are "sweep.search", ...
const std::vector<SweepSetting>& sweep_setting_table();
const SweepSetting* find_sweep_setting(const std::string& key);  // nullptr where there is none
const std::vector<std::string>& sweep_setting_keys();

// Whether a larger value of sweep.metric is the better one.
bool larger_is_better(const std::string& metric);

}  // namespace elbow::launch::sweep
