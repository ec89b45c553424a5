#include "launch/sweep/sweep_settings.h"

namespace elbow::launch::sweep {
namespace {

using kinds::at;
using kinds::choice;
using kinds::integer;
using kinds::integer_or_auto;
using kinds::Range;
using kinds::seed;
using kinds::yes_or_no;
using S = SweepSettings;

std::vector<SweepSetting> make_table() {
  const Range whole{1, 1e6};
  return {
      choice("sweep.search", at(&S::search), {"grid", "list", "random", "sobol"},
             "grid: every combination of the axes' values; list: the first values of all axes, the "
             "second ones, and so on; random, sobol: drawn"),
      integer_or_auto("sweep.trials", at(&S::trials), {1, 1e5},
                      "random, sobol: how many configurations to draw; auto: as many as there are"),
      integer("sweep.repeats", at(&S::repeats), {1, 1e5},
              "trials of each configuration, with train.seed, train.seed + 1 and so on"),
      seed("sweep.seed", at(&S::seed), "what drawn values follow from"),
      choice("sweep.metric", at(&S::metric), {"elbo_nats", "loss", "recon_nats", "kl_nats"},
             "what trials are compared by, on the validation split, or test where there is none"),
      choice("sweep.pruning", at(&S::pruning), {"none", "asha", "median"},
             "how trials that promise little are stopped early"),
      integer("sweep.min_epochs", at(&S::min_epochs), whole,
              "asha, median: no trial is stopped before this epoch"),
      integer("sweep.reduction", at(&S::reduction), {2, 1000},
              "asha: of the trials at min_epochs, min_epochs * reduction, and so on, one in so "
              "many goes on"),
      integer("sweep.startup_trials", at(&S::startup_trials), whole,
              "median: other trials that must have come as far before one is stopped"),
      integer_or_auto("sweep.ranks_per_group", at(&S::ranks_per_group), whole,
                      "ranks that train one pack together; auto: measured"),
      integer_or_auto("sweep.rows_per_pack", at(&S::rows_per_pack), whole,
                      "trials that a group trains side by side; auto: measured"),
      integer("sweep.retries", at(&S::retries), {0, 1e6},
              "how often a trial that fails is begun again"),
      yes_or_no("sweep.warm_start", at(&S::warm_start),
                "begin with the last weights of a trial with a smaller weight of the KL, and wait "
                "for it"),
  };
}

}  // namespace

const std::vector<SweepSetting>& sweep_setting_table() {
  static const std::vector<SweepSetting> table = make_table();
  return table;
}

const SweepSetting* find_sweep_setting(const std::string& key) {
  for (const SweepSetting& setting : sweep_setting_table())
    if (setting.key == key) return &setting;
  return nullptr;
}

const std::vector<std::string>& sweep_setting_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all;
    for (const SweepSetting& setting : sweep_setting_table()) all.push_back(setting.key);
    return all;
  }();
  return keys;
}

bool larger_is_better(const std::string& metric) { return metric == "elbo_nats"; }

}  // namespace elbow::launch::sweep
