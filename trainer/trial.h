// One training run from its first step, or its checkpoint, to result.json: the loop over epochs,
// what is logged and saved, and what is left behind.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "comm/communicator.h"
#include "trainer/checkpoint.h"
#include "trainer/dataset.h"
#include "trainer/interruption.h"
#include "trainer/observer.h"
#include "trainer/run_directory.h"
#include "trainer/run_files.h"
#include "trainer/run_lock.h"
#include "trainer/settings.h"
#include "trainer/thread_team.h"
#include "trainer/trainer.h"

namespace elbow::trainer {

struct TrialParts {
  const Settings& settings;
  const Dataset& data;
  comm::Communicator& ranks;
  const RunDirectory& directory;  // the same folder on every rank; rank 0 writes into it
  Observer* observer;             // rank 0's; null on the others
  const Interruption& interruption;
  RunIdentity identity{};               // what checkpoints remember; equal on every rank
  const RunLock* lock = nullptr;        // rank 0's
  std::optional<int64_t> lock_epoch{};  // its epoch, equal on every rank
  std::chrono::milliseconds lock_patience = std::chrono::seconds(10);  // of one that takes over
  // Before the first step too: the first weights do not follow from the settings.
  bool save_first = false;
  // Where to go on, equal on every rank; unset: from the start.
  std::optional<Checkpoint> resumed{};
  // Makes the observer of a rank that takes over from a lost rank 0; empty: none.
  std::function<Observer*(const RunLock&)> successor{};
  // Gets sentences of what this rank does; any rank may have one; empty: nobody.
  std::function<void(const std::string&)> log{};
};

// Whether nothing is left to train: the last step was made and measured, or `patience` has ended
// it.
bool is_over(const TrialProgress& progress, const TrainSettings& settings, int64_t total_steps);

// Every rank calls it. Trains to the last epoch, or until the ranks agree to stop, or until a
// number is not finite and no rollback is left. Rank 0 writes metrics.jsonl and checkpoints as it
// goes, a last checkpoint, then result.json. The result is equal on all ranks, apart from times.
//
// Survivors of a lost rank go on: they bring each other to the newest state, the lowest of them
// takes over what rank 0 did, and what was interrupted is done again. No file is needed for it. On
// a GPU the survivors leave instead, with a last checkpoint, and the result says so. The trainer
// belongs to the survivors then.
//
// LockLost where another process has taken the run over, or where survivors of a lost rank 0 find
// that it still writes, or has gone on without them. std::runtime_error where metrics.jsonl cannot
// be begun.
RunResult run_trial(const TrialParts& parts, Trainer& trainer);

}  // namespace elbow::trainer
