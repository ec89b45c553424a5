// A checkpoint in memory, and its state.json: position, counters and metrics, everything but
// tensors. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/snapshot.h"
#include "trainer/trial_progress.h"

namespace elbow::trainer {

// What a run's numbers follow from. A run that is resumed must have the same; who resumes decides
// which settings may differ.
struct RunIdentity {
  std::map<std::string, std::string> settings;        // every key, as text
  std::map<std::string, std::string> exact_settings;  // what exact mode relies on besides
  std::vector<std::string> data_sha256;               // by file; "" where it was not computed
};

struct Checkpoint {
  Snapshot snapshot;
  std::vector<TrialProgress> progress;  // one a row
  RunIdentity identity;

  int64_t step() const { return snapshot.rows.at(0).step; }
};

// state.json. Numbers keep their bits.
std::string state_text(const Checkpoint& checkpoint);

// The reverse, without tensors. Throws DamagedCheckpoint that says what is wrong, without the
// file's name.
Checkpoint parse_state(std::string_view text);

}  // namespace elbow::trainer
