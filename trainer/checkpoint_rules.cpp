#include "trainer/checkpoint_rules.h"

#include <algorithm>

namespace elbow::trainer {

bool save_is_due(const CheckpointSettings& settings, const SavePoint& point) {
  if (settings.every_steps > 0 && point.step % settings.every_steps == 0) return true;
  if (settings.every_minutes > 0 && point.minutes_since_last >= settings.every_minutes) return true;
  if (!point.ended_epoch || settings.every_epochs == 0) return false;
  return *point.ended_epoch % settings.every_epochs == 0 || (settings.keep_best && point.new_best);
}

std::vector<int64_t> steps_to_remove(const CheckpointSettings& settings,
                                     const std::vector<int64_t>& steps, int64_t steps_per_epoch,
                                     std::optional<int64_t> best_step) {
  std::vector<int64_t> removed;
  const auto count = static_cast<int64_t>(steps.size());
  for (int64_t i = 0; i < count - std::max<int64_t>(settings.keep_last, 1); ++i) {
    const bool stays = settings.keep_every > 0 &&
                       steps[i] % (settings.keep_every * steps_per_epoch) == 0 && steps[i] > 0;
    const bool best = settings.keep_best && best_step == steps[i];
    if (!stays && !best) removed.push_back(steps[i]);
  }
  return removed;
}

}  // namespace elbow::trainer
