// Who may write into a run's folder: one process at a time.
//
// RUN/run.lock is locked with flock(), which ends with its owner however that dies, and holds an
// epoch number that grows with every owner. A process that was cut off (its host's connection to
// the file system broke, and another took over) sees the larger number before it writes, and stops.
// A child that a fork() leaves behind shares the lock until it ends or calls exec().
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "trainer/error.h"

namespace elbow::trainer {

// Another process writes this run now. It can be resumed later, but not by us.
class LockLost : public Unfinished {
 public:
  using Unfinished::Unfinished;
};

class RunLock {
 public:
  // Waits for the lock at most so long, then throws SettingError that names the owner. may_take:
  // called while nobody else can own it, with the last owner's epoch, before that is replaced; it
  // throws where the run must be left alone.
  RunLock(const std::filesystem::path& file, std::chrono::milliseconds patience,
          const std::function<void(int64_t last_epoch)>& may_take = {});
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;

  int64_t epoch() const { return epoch_; }

  // To be called before each write; any thread. Throws LockLost. Where the file cannot be read at
  // all nothing is known, and the write itself will fail.
  void require() const;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  int64_t epoch_ = 0;
};

}  // namespace elbow::trainer
