// One training run from its first step to result.json: the loop over epochs, what is logged, and
// what is left behind.
#pragma once

#include "comm/communicator.h"
#include "trainer/dataset.h"
#include "trainer/interruption.h"
#include "trainer/observer.h"
#include "trainer/run_directory.h"
#include "trainer/run_files.h"
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
};

// Every rank calls it. Trains to the last epoch, or until the ranks agree to stop, or until a
// number is not finite. Rank 0 writes metrics.jsonl as it goes, then the weights, then result.json.
// The result's numbers are equal on all ranks. Throws comm::PeerLost, after the lowest survivor has
// written weights and result.json, and std::runtime_error where a file cannot be written.
RunResult run_trial(const TrialParts& parts, Trainer& trainer);

}  // namespace elbow::trainer
