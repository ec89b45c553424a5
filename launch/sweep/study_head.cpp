#include "launch/sweep/study_head.h"

namespace elbow::launch::sweep {

StudyHead study_head(const SweepConfig& sweep, const Shard& shard) {
  StudyHead head{.name = sweep.name(),
                 .metric = sweep.settings.metric,
                 .larger_is_better = larger_is_better(sweep.settings.metric),
                 .fingerprint = sweep_fingerprint(sweep),
                 .shard = shard.text()};
  for (const Axis& axis : sweep.space.axes()) head.axes.push_back(range_of(axis));
  return head;
}

}  // namespace elbow::launch::sweep
