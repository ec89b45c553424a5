#include "launch/cluster/trial_row.h"

#include <cmath>
#include <filesystem>

#include "launch/effective_config.h"
#include "launch/run_folder.h"
#include "launch/tensorboard_observer.h"
#include "trainer/text_file.h"
#include "trainer/trial.h"

namespace elbow::launch::cluster {
namespace {

using trainer::RunStatus;
using trainer::SplitMetrics;

constexpr int kDone = 0;

FoundRun folder_of(const trainer::RunDirectory& directory) {
  if (auto found = find_run(directory.path(), Resume::kAuto)) return std::move(*found);
  const auto made = create_run_folder(directory.path(), "");
  return {.directory = made, .lock = lock_run(made)};
}

double metric_of(const SplitMetrics& metrics, const std::string& name) {
  if (name == "loss") return metrics.loss;
  if (name == "recon_nats") return metrics.recon_nats;
  if (name == "kl_nats") return metrics.kl_nats;
  return metrics.elbo_nats;
}

// What a ledger remembers of a trial's last epoch, where it is a number.
sweep::Attributes attributes_of(const SplitMetrics& metrics, const trainer::Settings& settings,
                                int64_t observed) {
  sweep::Attributes all;
  const auto put = [&](const char* name, double value) {
    if (std::isfinite(value)) all[name] = value;
  };
  put("elbo_nats", metrics.elbo_nats);
  put("recon_nats", metrics.recon_nats);
  put("kl_nats", metrics.kl_nats);
  put("loss", metrics.loss);
  put("mu_std", metrics.mu_std);
  put("sigma_mean", metrics.sigma_mean);
  if (metrics.sigma_min) put("sigma_min", *metrics.sigma_min);
  if (metrics.posterior) {
    put("active_units", static_cast<double>(metrics.posterior->active_units));
    put("active_units_kl", static_cast<double>(metrics.posterior->active_units_kl));
  }
  const double beta = trainer::effective_beta(settings.objective, observed);
  put("beta", beta);
  put("kl_wt", beta / static_cast<double>(observed));
  return all;
}

}  // namespace

TrialRow::TrialRow(RowSetting setting, const trainer::Dataset& data,
                   const std::function<void(const std::string&)>& tell)
    : setting_(std::move(setting)),
      data_(data),
      tell_([tell, trial = setting_.trial](const std::string& sentence) {
        tell("trial " + std::to_string(trial) + ": " + sentence);
      }),
      found_(folder_of(setting_.directory)) {
  identity_ = identity_of(setting_.config,
                          {.own = at::kCPU, .exact_settings = setting_.exact_settings}, data);
  check_identity(found_, setting_.config, identity_);
  for (const auto& sentence : found_.damaged) tell_(sentence);
  if (!found_.checkpoint) return;
  progress_ = found_.checkpoint->checkpoint.progress.at(0);
  const auto& train = setting_.config.settings.train;
  over_ = trainer::is_over(progress_, train,
                           trainer::steps_of(train, trainer::steps_in_epoch(train, data_)));
}

int64_t TrialRow::batch() const {
  return found_.checkpoint ? found_.checkpoint->checkpoint.snapshot.batch : 0;
}

std::optional<RowNews> TrialRow::ended_before(int64_t steps_per_epoch) const {
  if (!found_.checkpoint || progress_.final_metrics.empty()) return std::nullopt;
  auto ended = news();
  const auto& train = setting_.config.settings.train;
  if (is_complete(found_, train, trainer::steps_of(train, steps_per_epoch))) {
    ended.end = RowEnd::kComplete;
  } else if (found_.status == RunStatus::kPruned) {
    ended.end = RowEnd::kPruned;
  } else {
    return std::nullopt;
  }
  return ended;
}

void TrialRow::start(trainer::Trainer& trainer, int64_t row, const trainer::Manifest& manifest,
                     const std::optional<trainer::Checkpoint>& checkpoint) {
  trainer_ = &trainer;
  row_ = row;
  const auto& directory = found_.directory;
  std::filesystem::remove(directory.result());  // of an earlier launch
  trainer::replace_text_file(directory.config(),
                             effective_config(setting_.config, data_.observed()));
  trainer::write_manifest(directory.manifest(), manifest);
  const auto stored = checkpoint ? std::optional(checkpoint->step()) : std::nullopt;
  record_ = std::make_unique<trainer::RunRecord>(
      trainer::RecordParts{.directory = directory,
                           .lock = found_.lock.get(),
                           .trainer = trainer,
                           .row = row,
                           .settings = setting_.config.settings.checkpoint,
                           .identity = identity_,
                           .progress = progress_,
                           .start = start_,
                           .tell = tell_});
  record_->go_on_from(stored);
  record_->resume_trace(trainer);
  observer_ = make_tensorboard_observer({.config = setting_.config,
                                         .trainer = trainer,
                                         .data = data_,
                                         .directory = directory,
                                         .lock = found_.lock.get(),
                                         .steps_done = stored.value_or(0),
                                         .row = row,
                                         .tell = tell_});
}

RowNews TrialRow::news() const {
  RowNews news{.trial = setting_.trial};
  if (progress_.final_metrics.empty()) return news;
  const auto& held_out = progress_.final_metrics.back();
  news.epoch = held_out.epoch;
  news.value = metric_of(held_out, setting_.metric);
  news.attributes = attributes_of(held_out, setting_.config.settings, data_.observed());
  news.attributes["epochs"] = static_cast<double>(progress_.epochs_done);
  return news;
}

std::optional<RowNews> TrialRow::last_epoch() const {
  if (progress_.final_metrics.empty()) return std::nullopt;
  return news();
}

RowNews TrialRow::end_epoch(const SplitMetrics& train, const SplitMetrics& held_out) {
  const bool new_best = take_epoch(progress_, train, held_out);
  record_->write_epoch(train, held_out, new_best);
  observer_->on_epoch(train, held_out);
  const auto& settings = setting_.config.settings.train;
  if (!trainer::is_over(progress_, settings,
                        trainer::steps_of(settings, trainer_->steps_per_epoch())))
    return news();
  return end_of_its_own();
}

RowNews TrialRow::end_of_its_own() {
  auto last = std::isfinite(news().value)
                  ? end(RunStatus::kComplete, kDone, "")
                  : end(RunStatus::kFailed, /*exit_code=*/1,
                        "its " + setting_.metric + " is not a finite number at the end");
  last.epoch = progress_.epochs_done;
  return last;
}

RowNews TrialRow::end_at_start() {
  return prune_at_start_.empty() ? end_of_its_own() : end(RunStatus::kPruned, kDone, "");
}

RowNews TrialRow::end(RunStatus status, int exit_code, const std::string& why) {
  trainer::RunResult result{.status = status, .exit_code = exit_code};
  (status == RunStatus::kInterrupted ? result.interrupted_by : result.error) =
      status == RunStatus::kPruned ? "" : why;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
  describe_end(result, progress_, trainer_->pack().rows.at(row_), seconds.count());
  result.recon_floor_nats = trainer_->recon_floor_nats();
  record_->finish(result);
  auto last = news();
  last.epoch = 0;  // told before
  last.error = result.error;
  last.end = status == RunStatus::kComplete ? RowEnd::kComplete
             : status == RunStatus::kPruned ? RowEnd::kPruned
             : status == RunStatus::kFailed ? RowEnd::kFailed
                                            : RowEnd::kNone;
  // Of its own accord it ends well; what it could not write may be written elsewhere.
  if (result.status == RunStatus::kFailed && status != RunStatus::kFailed)
    last.end = RowEnd::kBroken;
  return last;
}

}  // namespace elbow::launch::cluster
