// What a run leaves in its folder as it goes, and at its end: metrics.jsonl, traces, checkpoints
// and result.json, of one row of a trainer. One rank of the group keeps it; the others know nothing
// of it. What a disk refuses is told, and the run goes on.
//
// One thread; checkpoints are written in the background.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainer/checkpoint.h"
#include "trainer/checkpoint_writer.h"
#include "trainer/metrics_log.h"
#include "trainer/posterior_trace.h"
#include "trainer/run_directory.h"
#include "trainer/run_files.h"
#include "trainer/run_lock.h"
#include "trainer/settings.h"
#include "trainer/trainer.h"
#include "trainer/trial_progress.h"

namespace elbow::trainer {

// All must outlive the record.
struct RecordParts {
  const RunDirectory& directory;
  const RunLock* lock;  // null: nobody else could write
  const Trainer& trainer;
  int64_t row;
  const CheckpointSettings& settings;
  const RunIdentity& identity;
  TrialProgress& progress;                      // the owner's; warnings are added here
  std::chrono::steady_clock::time_point start;  // of this launch's part of the run
  std::function<void(const std::string&)> tell;
};

// How a trainer's rows are named in files.
TensorNames tensor_names(const Trainer& trainer);

// Fills in what `progress` and the row know of a run's end, with `seconds` of this launch.
void describe_end(RunResult& result, const TrialProgress& progress, const Row& row, double seconds);

class RunRecord {
 public:
  // Keeps all lines that metrics.jsonl has. Throws std::runtime_error where it cannot be begun.
  explicit RunRecord(RecordParts parts);

  MetricsLog& log() { return log_; }

  // For a run that begins, or goes on from the checkpoint that the trainer has adopted: cuts what
  // the files hold beyond it.
  void go_on_from(std::optional<int64_t> stored_step);
  void resume_trace(Trainer& trainer);

  // After an epoch and its evaluation. Throws LockLost.
  void write_epoch(const SplitMetrics& train, const SplitMetrics& held_out, bool new_best);
  // Within an epoch. Throws LockLost.
  void save_where_due() { save_where_due(std::nullopt, /*new_best=*/false); }
  void save();

  // The newest good checkpoint before the row's step, after all that was handed over is written.
  std::optional<Checkpoint> newest_before_now();
  // Removes checkpoints beyond `step` (-1: all), which would be taken for the newest.
  void forget_after(int64_t step);

  // Saves the state as it is, and writes result.json. Where one of them cannot be written, the
  // run has failed, and `result` says so.
  void finish(RunResult& result);
  void save_the_last(RunResult& result);
  std::optional<int64_t> stored_step() const { return stored_step_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Place = std::pair<int64_t, int64_t>;  // step, batch

  const Row& row() const { return parts_.trainer.pack().rows.at(parts_.row); }
  Place place() const { return {row().step, parts_.trainer.batch_of(parts_.row)}; }
  int64_t epoch_of_trace() const;
  Checkpoint checkpoint() const;
  PosteriorTrace trace() const;
  bool save_where_due(std::optional<int64_t> ended_epoch, bool new_best);
  void require_lock() const;
  void warn(const std::string& sentence);
  void tell_failures();

  RecordParts parts_;
  MetricsLog log_;
  Clock::time_point last_due_;
  std::optional<Place> saved_at_;       // what was last handed to the writer
  std::optional<int64_t> stored_step_;  // of the newest checkpoint that lies on disk
  std::vector<std::string> unsaved_;    // why saves failed
  CheckpointWriter checkpoints_;        // last: it ends first
};

}  // namespace elbow::trainer
