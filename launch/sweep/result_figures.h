// The figures of `elbow report SWEEP`, from a sweep's results. Pure.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "launch/run_figures.h"
#include "launch/sweep/sweep_results.h"

namespace elbow::launch::sweep {

// Latent codes of a trial's held-out examples.
struct TrialCodes {
  int64_t trial = 0;
  at::Tensor mu;                  // [examples, latent], float32, CPU
  at::Tensor sigma;               // the same
  std::vector<uint8_t> labels{};  // by example; empty: unknown
};

// The trials whose codes `posteriors` shows: complete ones, the first of each weight of the KL, by
// increasing weight; at most 16, evenly chosen.
std::vector<int64_t> trials_to_picture(const SweepResults& results);

// Those for which the results have what they need, in the order of a report: rate_distortion,
// active_units (with the KL of each trial), rungs (the metric by epoch, pruned trials faint),
// parallel_coordinates, and with codes posteriors (a panel a trial, by increasing weight of the
// KL).
std::vector<NamedFigure> sweep_figures(const SweepResults& results,
                                       const std::vector<TrialCodes>& codes = {});

}  // namespace elbow::launch::sweep
