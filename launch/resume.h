// Going on with a run: what its folder holds, who may write into it, and whether the settings of
// this launch may continue it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/command_line.h"
#include "launch/config.h"
#include "launch/devices.h"
#include "trainer/checkpoint.h"
#include "trainer/dataset.h"
#include "trainer/run_directory.h"
#include "trainer/run_files.h"
#include "trainer/run_lock.h"

namespace elbow::launch {

// A folder that holds a run, with the right to write into it. Rank 0 only.
struct FoundRun {
  trainer::RunDirectory directory;
  std::unique_ptr<trainer::RunLock> lock;
  std::optional<trainer::StoredCheckpoint>
      checkpoint;                            // the newest good one; unset: from the start
  std::vector<std::string> damaged;          // a sentence for each newer one
  std::optional<trainer::RunStatus> status;  // in its result.json
};

// kLook takes no lock and changes nothing.
enum class Access { kWrite, kLook };

// Nothing where a new run is to be made in `out`. Waits for another process to leave the folder.
// Throws trainer::SettingError and trainer::DamagedCheckpoint.
std::optional<FoundRun> find_run(const std::optional<std::filesystem::path>& out, Resume resume,
                                 Access access = Access::kWrite);

// The lock of a run's folder, for which it waits ten seconds. Throws trainer::SettingError.
std::unique_ptr<trainer::RunLock> lock_run(const trainer::RunDirectory& directory);

// The MKL branch that exact mode had when the run was begun; "" where there was none.
std::string mkl_branch_of(const FoundRun& run);
std::string mkl_branch_of(const trainer::RunIdentity& identity);

// What this launch's numbers follow from.
trainer::RunIdentity identity_of(const ParsedConfig& config, const Devices& devices,
                                 const trainer::Dataset& data);

// Throws trainer::SettingError that names the first key, or circumstance, that a resumed run must
// not change.
void check_identity(const FoundRun& run, const ParsedConfig& config,
                    const trainer::RunIdentity& now);

// Whether nothing is left to do.
bool is_complete(const FoundRun& run, const trainer::TrainSettings& settings, int64_t total_steps);

}  // namespace elbow::launch
