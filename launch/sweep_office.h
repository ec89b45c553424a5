// What the rank in charge of a sweep holds: the right to write into its folder, the ledger, and the
// coordinator; and how a launch of a sweep begins, is taken over, and ends. launch/cluster/ says
// who is in charge.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launch/cluster/coordinator.h"
#include "launch/cluster/sweep_directory.h"
#include "launch/command_line.h"
#include "launch/exit_code.h"
#include "launch/sweep/ledger.h"
#include "trainer/run_lock.h"

namespace elbow::launch {

// The folder of a sweep that is there, or nothing where a new one is to be made. Throws
// trainer::SettingError.
std::optional<std::filesystem::path> found_sweep(const SweepCommand& command,
                                                 const sweep::Shard& shard);

// Throws trainer::SettingError where the ledger in this folder is of other trials.
void require_same_sweep(const sweep::LedgerContents& ledger, const sweep::SweepConfig& sweep,
                        const cluster::SweepDirectory& directory);

class SweepOffice {
 public:
  // All must outlive it. hosts: of the groups.
  SweepOffice(const sweep::SweepConfig& sweep, const sweep::Shard& shard)
      : sweep_(sweep), shard_(shard) {}

  // Rank 0, before anybody trains: the folder that the command names, or a new one, with an
  // open ledger. Throws trainer::SettingError, sweep::DamagedLedger, std::system_error.
  void open(const SweepCommand& command);
  const std::filesystem::path& folder() const { return directory_->path(); }
  // A rank whose predecessors are dead: the folder as they have left it. Errors as of open().
  void take_over(const std::filesystem::path& folder);

  // Once, of an open office.
  cluster::Coordinator& begin(std::vector<std::string> hosts, cluster::Beginning beginning);

  // When all ranks have left: writes results.csv and result.json, and tells them. failure: why the
  // coordinator had to give up, or "". Throws std::system_error, trainer::LockLost.
  ExitCode write_end(const std::string& failure) const;

 private:
  const sweep::SweepConfig& sweep_;
  sweep::Shard shard_;
  std::optional<cluster::SweepDirectory> directory_;
  std::optional<trainer::RunLock> lock_;
  std::optional<sweep::Ledger> ledger_;
  std::optional<cluster::Coordinator> coordinator_;
};

}  // namespace elbow::launch
