// Writes a run's checkpoints and traces in the background, and removes those that need not stay.
// Training waits for the copy of its state, which it makes itself, and no longer. What cannot be
// written is told, and the run goes on. Rank 0 only; one thread calls.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trainer/background_writer.h"
#include "trainer/checkpoint.h"
#include "trainer/posterior_trace.h"
#include "trainer/run_lock.h"
#include "trainer/settings.h"

namespace elbow::trainer {

struct WriterParts {
  const RunDirectory& directory;
  const RunLock* lock;  // null: nobody else could write
  TensorNames names;
  CheckpointSettings settings;
  int64_t steps_per_epoch;
};

// Keeps `parts`' references; destruction finishes what was handed over.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(const WriterParts& parts);

  // A checkpoint that stays by the rules, or that ends the first epoch, is never dropped for a
  // newer one, others are where the disk is slower than training. trace: of the checkpoint's epoch,
  // to be touched by nobody any more.
  void save(Checkpoint checkpoint, PosteriorTrace trace);
  // The whole first epoch's, where no checkpoint ends it.
  void save_first_epoch(PosteriorTrace trace);
  void wait();

  // The sentences of what could not be saved since the last call. Throws LockLost.
  std::vector<std::string> take_failures();
  // The same of traces, without which a run is whole.
  std::vector<std::string> take_trace_failures();

  // The step of the last checkpoint that came safely to disk since the last call.
  std::optional<int64_t> take_saved_step();

 private:
  void write(const Checkpoint& checkpoint);
  void write(const PosteriorTrace& trace);
  void remove_old(const Checkpoint& newest);

  WriterParts parts_;
  std::mutex mutex_;  // of what follows
  std::vector<std::string> failures_, trace_failures_;
  std::optional<std::string> lost_;
  std::optional<int64_t> saved_step_;
  BackgroundWriter thread_;  // last: it ends first
};

}  // namespace elbow::trainer
