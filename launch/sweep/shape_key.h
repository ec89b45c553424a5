// Which trials may be rows of one pack: those with equal shape keys. A setting may differ between
// rows where it is a number per row of the trainer (trainer::Row), or concerns no training at all;
// all others must agree. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/sweep/sweep_config.h"
#include "trainer/settings.h"

namespace elbow::launch::sweep {

// Text that is equal for trials that may share a pack, and for no others. One "key = value" a line,
// of the keys that must agree; free bits and sigma_wt count by whether they are on, because the
// objective is built with or without them.
std::string shape_key(const trainer::Settings& settings);

// Whether rows of one pack may have different values of this key.
bool may_differ_in_pack(const std::string& key);

// Whether a key can be an axis at all: not those of the launch rather than of a trial (threads,
// device, time limits, checkpoints, logs).
bool may_be_axis(const std::string& key);

// The shape of each trial of a sweep, as a small number: 0 for trial 0's, the next for the first
// trial that differs, and so on.
class TrialShapes {
 public:
  explicit TrialShapes(const SweepConfig& sweep);

  int64_t count() const { return count_; }
  int64_t of(int64_t trial) const;

 private:
  std::vector<int64_t> shapes_;  // by configuration
  int64_t count_ = 0;
};

}  // namespace elbow::launch::sweep
