// What a trial remembers besides its Trainer's state: all that its log, its result and its policies
// need to go on without a seam.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/observer.h"

namespace elbow::trainer {

struct TrialProgress {
  int64_t epochs_done = 0;                  // evaluated and logged
  std::vector<SplitMetrics> final_metrics;  // by split, of the last epoch
  std::optional<SplitMetrics> best;         // the epoch with the highest elbo_nats
  double train_seconds = 0;                 // in finished epochs, for the throughput
  double train_examples = 0;
  double seconds = 0;                 // of all launches so far
  int64_t rollbacks = 0;              // after a step that was not finite
  std::vector<std::string> warnings;  // what the run's end should tell, such as each rollback
  uint64_t metrics_bytes = 0;         // of metrics.jsonl: what comes later is not part of this
};

// Takes an epoch's metrics, of train and of what is held out. Returns whether it is the best so
// far; held-out metrics that are not finite are worse than any that are.
bool take_epoch(TrialProgress& progress, const SplitMetrics& train, const SplitMetrics& held_out);

}  // namespace elbow::trainer
