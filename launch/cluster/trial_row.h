// The leader's side of one row of a pack: the trial's folder, which is that of any run, and what it
// tells the coordinator. The other ranks of the group only train.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "launch/cluster/messages.h"
#include "launch/config.h"
#include "launch/resume.h"
#include "trainer/checkpoint.h"
#include "trainer/dataset.h"
#include "trainer/observer.h"
#include "trainer/run_directory.h"
#include "trainer/run_files.h"
#include "trainer/run_record.h"
#include "trainer/trainer.h"
#include "trainer/trial_progress.h"

namespace elbow::launch::cluster {

struct RowSetting {
  int64_t trial;
  std::string metric;  // sweep.metric
  ParsedConfig config;
  trainer::RunDirectory directory;
  std::map<std::string, std::string> exact_settings;  // what the trial's bits rely on besides
};

class TrialRow {
 public:
  // Takes the trial's folder, with the newest good checkpoint where it has one. Errors as of
  // find_run() and check_identity(). `tell` must outlive it.
  TrialRow(RowSetting setting, const trainer::Dataset& data,
           const std::function<void(const std::string&)>& tell);

  int64_t trial() const { return setting_.trial; }
  const ParsedConfig& config() const { return setting_.config; }
  // How an earlier launch ended the trial for good, though the ledger does not know it.
  std::optional<RowNews> ended_before(int64_t steps_per_epoch) const;
  // Where to go on; nothing: from the start.
  const std::optional<trainer::StoredCheckpoint>& checkpoint() const { return found_.checkpoint; }
  int64_t batch() const;  // of its epoch, where it goes on

  // Why it is stopped where it goes on, without a further epoch; "": it is not.
  void prune_at_start(const std::string& why) { prune_at_start_ = why; }
  // Whether it has no step to make: it is pruned, or its checkpoint is its last one and only
  // result.json is missing.
  bool ends_at_start() const { return !prune_at_start_.empty() || over_; }
  // Once it has started.
  RowNews end_at_start();
  // Whether there is something to tell before it trains: its end, or last_epoch().
  bool has_news_at_start() const { return ends_at_start() || !progress_.final_metrics.empty(); }

  // It is row `row` of `trainer` now, which has taken its checkpoint.
  void start(trainer::Trainer& trainer, int64_t row, const trainer::Manifest& manifest,
             const std::optional<trainer::Checkpoint>& checkpoint);
  // The last epoch that it has measured, of which whoever coordinated then may not have heard;
  // nothing where there is none.
  std::optional<RowNews> last_epoch() const;
  trainer::Observer* observer() { return observer_.get(); }

  void save_where_due() { record_->save_where_due(); }
  // After an epoch and its evaluation; says whether that was the last one.
  RowNews end_epoch(const trainer::SplitMetrics& train, const trainer::SplitMetrics& held_out);
  // Leaves a last checkpoint and result.json.
  RowNews end(trainer::RunStatus status, int exit_code, const std::string& why);

 private:
  RowNews news() const;
  RowNews end_of_its_own();

  RowSetting setting_;
  const trainer::Dataset& data_;
  std::function<void(const std::string&)> tell_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  FoundRun found_;
  trainer::RunIdentity identity_;
  trainer::TrialProgress progress_;
  trainer::Trainer* trainer_ = nullptr;
  int64_t row_ = 0;
  std::string prune_at_start_;
  bool over_ = false;
  std::unique_ptr<trainer::Observer> observer_;
  std::unique_ptr<trainer::RunRecord> record_;  // last: it ends first
};

}  // namespace elbow::launch::cluster
