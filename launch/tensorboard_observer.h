// Writes RUN/tensorboard, and pictures drawn while training, as the loop goes. Rank 0 only; where
// it looks at the model it computes alone, while the other ranks wait.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launch/config.h"
#include "trainer/dataset.h"
#include "trainer/observer.h"
#include "trainer/run_directory.h"
#include "trainer/run_lock.h"
#include "trainer/trainer.h"

namespace elbow::launch {

struct WatchedRun {
  const ParsedConfig& config;
  const trainer::Trainer& trainer;
  const trainer::Dataset& data;
  const trainer::RunDirectory& directory;
  const trainer::RunLock* lock = nullptr;  // null: nobody else could write
  int64_t steps_done = 0;  // by earlier launches: what the folder holds beyond them is cut
  int64_t row = 0;         // the trainer's
  std::function<void(const std::string&)> tell{};  // what went wrong; the run goes on
};

// All must outlive the observer. Appends to what the folder holds. What cannot be written is told
// once, and left out. Its calls throw LockLost where another process has taken the run over.
std::unique_ptr<trainer::Observer> make_tensorboard_observer(const WatchedRun& run);

// Tells each of several observers, in order.
std::unique_ptr<trainer::Observer> observers_together(
    std::vector<std::unique_ptr<trainer::Observer>> observers);

}  // namespace elbow::launch
