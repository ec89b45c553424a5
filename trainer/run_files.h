// manifest.json (the circumstances of a run, written at its start) and result.json (its end,
// written last). Plain structs in, files out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trainer/dataset.h"
#include "trainer/observer.h"

namespace elbow::trainer {

struct RankPlace {
  std::string host;
  std::string device;  // "cpu", or a GPU's name
};

// Versions of elbow, LibTorch and the compiler, and the git revision, are added by
// write_manifest().
struct Manifest {
  std::vector<std::string> arguments;  // with the program's name
  std::string mpi;                     // version line, "" where MPI was not started
  std::vector<RankPlace> ranks;        // by rank
  std::string backend;                 // of the communicator
  int64_t threads_per_rank = 0;
  std::vector<DataFile> data_files;
  std::string started;  // utc_now()
  std::map<std::string, std::string>
      exact_settings;       // what exact mode relies on; empty in fast mode
  std::string init_from{};  // run whose last weights were the first ones; "": none
};

// kPruned: a sweep has stopped it, because others do better.
enum class RunStatus { kComplete, kFailed, kInterrupted, kPruned };

struct RunResult {
  RunStatus status = RunStatus::kFailed;
  int exit_code = 1;
  std::string error;           // the sentence; "" where there was none
  std::string interrupted_by;  // "signal USR2", "train.max_time"; "" where it was not
  int64_t epochs_done = 0;
  int64_t steps_done = 0;
  std::vector<SplitMetrics> final_metrics;  // by split, last epoch
  std::optional<SplitMetrics> best;  // the epoch with the highest elbo_nats on the selecting split
  std::map<std::string, double> recon_floor_nats;  // Trainer's, by split
  double seconds = 0;
  double examples_per_s = 0;          // training only, over the whole run
  std::string weights;                // file, relative to the run folder; "" where none was written
  int64_t rollbacks = 0;              // after a step that was not finite
  std::vector<std::string> healed;    // a sentence for each time that ranks were lost
  bool written_here = false;          // this rank wrote the run's files
  std::vector<std::string> warnings;  // what went wrong on the way, such as what was not saved
};

// Both replace the file at once and throw std::system_error that names it.
void write_manifest(const std::filesystem::path& file, const Manifest& manifest);
void write_result(const std::filesystem::path& file,
                  const RunResult& result);  // "status" stands on a line of its own

// What the result.json `file` says; nothing where there is none, or it cannot be read.
std::optional<RunStatus> status_in(const std::filesystem::path& file);

std::string utc_now();  // "2024-01-31T12:00:00Z"

}  // namespace elbow::trainer
