#include "trainer/trial_progress.h"

#include <cmath>

namespace elbow::trainer {

bool take_epoch(TrialProgress& progress, const SplitMetrics& train, const SplitMetrics& held_out) {
  auto& best = progress.best;
  const bool new_best =
      !best || !std::isfinite(best->elbo_nats) || held_out.elbo_nats > best->elbo_nats;
  if (new_best) best = held_out;
  progress.final_metrics = {train, held_out};
  progress.epochs_done = train.epoch;
  progress.train_seconds += train.seconds;
  progress.train_examples += static_cast<double>(train.examples);
  return new_best;
}

}  // namespace elbow::trainer
