// When a run is saved and which of its checkpoints stay. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "trainer/settings.h"

namespace elbow::trainer {

// A place at which a run could be saved.
struct SavePoint {
  int64_t step = 0;                    // optimizer steps made
  std::optional<int64_t> ended_epoch;  // counted from 1; unset within an epoch
  bool new_best = false;               // that epoch's held-out metrics are the best so far
  double minutes_since_last = 0;       // since the last time a save was due, or the start
};

bool save_is_due(const CheckpointSettings& settings, const SavePoint& point);

// Of the checkpoints at `steps` (ascending), those to remove. best_step: where the best epoch
// ended.
std::vector<int64_t> steps_to_remove(const CheckpointSettings& settings,
                                     const std::vector<int64_t>& steps, int64_t steps_per_epoch,
                                     std::optional<int64_t> best_step);

}  // namespace elbow::trainer
