// Which trial's last weights are another's first ones (sweep.warm_start). Pure.
//
// Trials that differ in the weight of the KL alone are a family. In the order of rising weight,
// trial i of a family begins with the weights of trial i & (i - 1): the next smaller weight on a
// coarser grid. The first begins as ever, half of them begin where their next neighbour ended, no
// chain is longer than log2 of the family, and a collapsed trial is never handed to a smaller
// weight.
//
// So the file of a sweep alone decides it, and not which trial ends first.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "launch/sweep/ledger_record.h"
#include "launch/sweep/sweep_config.h"

namespace elbow::launch::sweep {

class WarmStarts {
 public:
  // Without sweep.warm_start, of no trial.
  explicit WarmStarts(const SweepConfig& sweep);

  bool any() const { return any_; }

  // Whether it is known what the trial begins with: its source has ended.
  bool ready(int64_t trial, const LedgerContents& contents) const;

  // Of a trial that is ready: its source, or where that has not completed, the source's, and so on;
  // nothing: it begins as ever.
  std::optional<int64_t> source_of(int64_t trial, const LedgerContents& contents) const;

 private:
  std::vector<int64_t> sources_;  // by trial, -1: none; empty without warm starts
  bool any_ = false;
};

}  // namespace elbow::launch::sweep
