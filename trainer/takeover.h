// Whether survivors of a lost rank 0 may write its run. Its lock ends with it; but it may live, and
// only be cut off from here, and then its half of the group goes on: this half must not write, nor
// after that half has ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "trainer/run_directory.h"
#include "trainer/run_lock.h"

namespace elbow::trainer {

struct Takeover {
  const RunDirectory& directory;
  std::chrono::milliseconds patience;     // with the lock
  int64_t step;                           // of the survivors
  bool trained;                           // they had nothing left but to write it down
  std::optional<int64_t> newest_epoch{};  // the largest of the lock that is their launch's own
};

// Throws LockLost where the run is, or has been, somebody else's.
RunLock take_over_lock(const Takeover& takeover);

}  // namespace elbow::trainer
