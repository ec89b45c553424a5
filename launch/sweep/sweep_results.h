// What came of a sweep: the trials of one ledger, or of the ledgers of all shards, as one table.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launch/sweep/ledger_record.h"

namespace elbow::launch::sweep {

// A trial's attributes that reports know: its last epoch's metrics on the split of the metric,
// named as in metrics.jsonl (elbo_nats, recon_nats, kl_nats, loss, active_units, mu_std,
// sigma_mean, sigma_min), and its weights beta and kl_wt (from its start on). Any other is shown in
// tables too.

struct SweepResults {
  StudyHead head;
  std::vector<LedgerTrial> trials;  // by number

  // The axis's index in TrialPlan::values; nothing where there is none of this key.
  std::optional<size_t> axis(const std::string& key) const;
};

// One table of the ledgers of several shards of one sweep. A trial that two ledgers have counts
// once, finished before running, and the earlier ledger's otherwise. trainer::SettingError where
// the ledgers are of different sweeps (fingerprints); at least one ledger.
SweepResults merged(std::span<const LedgerContents> ledgers);

// All trials: the complete ones, the best first, then the others by number.
std::vector<const LedgerTrial*> ranked(const SweepResults& results);

// The value of a finished trial, else the newest epoch's; nothing where there is neither.
std::optional<double> newest_value(const LedgerTrial& trial);

// The complete trial with the best value; among equals the lowest number. nullptr where none is
// complete.
const LedgerTrial* best_trial(const SweepResults& results);

// results.csv (RFC 4180): trial, state, an axis a column, seed, epochs, the metric, then every
// attribute that any trial has, by name. Numbers read back as the same bits; empty where unknown.
std::string results_csv(const SweepResults& results);

// The n best trials, complete ones first, as a table for a terminal.
std::string summary_text(const SweepResults& results, int64_t rows);

// How much of the metric's variance over complete trials each axis explains by itself: 1 -
// (variance within equal values, or within four quantile bins of more than 8 values) / variance, 0
// to 1; by axis. NaN with fewer than 3 complete trials or no variance.
std::vector<double> axis_importance(const SweepResults& results);

}  // namespace elbow::launch::sweep
