#include "trainer/run_record.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <system_error>

#include "trainer/checkpoint_rules.h"
#include "trainer/error.h"
#include "trainer/posterior_trace.h"
#include "trainer/seconds_since.h"

namespace elbow::trainer {
namespace {

constexpr int kFailed = 1;

}  // namespace

TensorNames tensor_names(const Trainer& trainer) {
  return {trainer.model().layout(), trainer.optimizer().state_names()};
}

void describe_end(RunResult& result, const TrialProgress& progress, const Row& row,
                  double seconds) {
  result.epochs_done = progress.epochs_done;
  result.steps_done = row.step;
  result.final_metrics = progress.final_metrics;
  result.best = progress.best;
  result.seconds = progress.seconds + seconds;
  if (progress.train_seconds > 0)
    result.examples_per_s = progress.train_examples / progress.train_seconds;
  result.rollbacks = progress.rollbacks;
  result.warnings = progress.warnings;
}

RunRecord::RunRecord(RecordParts parts)
    : parts_(std::move(parts)),
      log_(parts_.directory.metrics(), UINT64_MAX),
      last_due_(parts_.start),
      checkpoints_({.directory = parts_.directory,
                    .lock = parts_.lock,
                    .names = tensor_names(parts_.trainer),
                    .settings = parts_.settings,
                    .steps_per_epoch = parts_.trainer.steps_per_epoch()}) {}

void RunRecord::go_on_from(std::optional<int64_t> stored_step) {
  stored_step_ = stored_step;
  log_.truncate(parts_.progress.metrics_bytes);
  if (log_.bytes() < parts_.progress.metrics_bytes)
    warn(fmt::format("{} has lost lines that it had when step {} was saved",
                     parts_.directory.metrics().string(), stored_step.value_or(0)));
}

// --- Lines and traces ----------------------------------------------------------------------------

void RunRecord::write_epoch(const SplitMetrics& train, const SplitMetrics& held_out,
                            bool new_best) {
  require_lock();
  log_.write(train);
  log_.write(held_out);
  const bool saved = save_where_due(train.epoch, new_best);
  if (train.epoch == 1 && !saved) checkpoints_.save_first_epoch(trace());
}

int64_t RunRecord::epoch_of_trace() const {
  return row().epoch + (parts_.trainer.batch_of(parts_.row) > 0 ? 1 : 0);
}

// Of the epoch that the row is in, or of the one that it has just ended.
PosteriorTrace RunRecord::trace() const {
  const auto values = parts_.trainer.posterior_trace(parts_.row);
  if (values.numel() == 0) return {};
  return {epoch_of_trace(), values.clone()};
}

// What a resumed run has of the epoch that it is in.
void RunRecord::resume_trace(Trainer& trainer) {
  const int64_t batch = trainer.batch_of(parts_.row);
  const int64_t epoch = epoch_of_trace();
  if (epoch == 0 || trainer.model().latent() == 0) return;
  try {
    trainer.set_posterior_trace(
        parts_.row, resume_posterior_traces(
                        parts_.directory.traces(), epoch,
                        trainer.trace_rule().kept(batch > 0 ? batch : trainer.steps_per_epoch()),
                        trainer.model().latent()));
  } catch (const std::runtime_error& error) {  // of the disk, or of a damaged file
    parts_.tell(fmt::format("the posterior's trace is not gone on with: {}", error.what()));
  }
}

// --- Checkpoints ---------------------------------------------------------------------------------

// Whether it was.
bool RunRecord::save_where_due(std::optional<int64_t> ended_epoch, bool new_best) {
  tell_failures();
  const SavePoint point{.step = row().step,
                        .ended_epoch = ended_epoch,
                        .new_best = new_best,
                        .minutes_since_last = seconds_since(last_due_) / 60};
  if (!save_is_due(parts_.settings, point)) return false;
  last_due_ = Clock::now();
  save();
  return true;
}

void RunRecord::save() {
  require_lock();
  if (log_.flush()) {
    saved_at_ = place();
    checkpoints_.save(checkpoint(), trace());
    return;
  }
  unsaved_.push_back(log_.failure());
  parts_.tell(log_.failure() + "; the run goes on, and tries again when the next save is due");
}

Checkpoint RunRecord::checkpoint() const {
  Checkpoint checkpoint{.snapshot = parts_.trainer.snapshot(parts_.row),
                        .progress = {parts_.progress},
                        .identity = parts_.identity};
  checkpoint.progress[0].seconds += seconds_since(parts_.start);
  checkpoint.progress[0].metrics_bytes = log_.bytes();
  return checkpoint;
}

std::optional<Checkpoint> RunRecord::newest_before_now() {
  saved_at_.reset();
  checkpoints_.wait();
  tell_failures();
  try {
    const auto newest = load_newest(parts_.directory, /*before=*/row().step);
    for (const auto& sentence : newest.damaged) warn(sentence);
    if (newest.checkpoint) return with_tensors(*newest.checkpoint, tensor_names(parts_.trainer));
  } catch (const DamagedCheckpoint& damage) {
    warn(damage.what());
  }
  return std::nullopt;
}

void RunRecord::forget_after(int64_t step) {
  stored_step_ = step >= 0 ? std::optional(step) : std::nullopt;
  try {
    for (const int64_t later : checkpoint_steps(parts_.directory))
      if (later > step) remove_checkpoint(parts_.directory, later);
  } catch (const std::filesystem::filesystem_error& error) {
    warn(error.what());
  }
}

// --- The end -------------------------------------------------------------------------------------

void RunRecord::finish(RunResult& result) {
  save_the_last(result);
  try {
    require_lock();
    write_result(parts_.directory.result(), result);
  } catch (const std::system_error& error) {
    result.exit_code = kFailed;
    if (result.error.empty()) result.error = error.what();
  }
}

void RunRecord::save_the_last(RunResult& result) {
  checkpoints_.wait();
  tell_failures();
  const int64_t step = row().step;
  if (saved_at_ != place() || stored_step_ != step || !log_.flush()) {
    save();
    checkpoints_.wait();
    tell_failures();
  }
  if (stored_step_)
    result.weights =
        std::filesystem::relative(parts_.directory.checkpoint(*stored_step_) / "model.safetensors",
                                  parts_.directory.path())
            .string();
  if (!unsaved_.empty())
    result.warnings.push_back(
        fmt::format("{} saves failed, the last one: {}", unsaved_.size(), unsaved_.back()));
  if (stored_step_ == step && log_.failure().empty()) return;
  if (result.error.empty())
    result.error = fmt::format(
        "the final checkpoint, of step {}, is not on disk: {}; {}", step, unsaved_.back(),
        stored_step_ ? fmt::format("the newest there is of step {}: make room and go on from it "
                                   "with elbow resume",
                                   *stored_step_)
                     : "there is no other");
  result.status = RunStatus::kFailed;
  result.exit_code = kFailed;
}

// --- Sentences -----------------------------------------------------------------------------------

void RunRecord::require_lock() const {
  if (parts_.lock != nullptr) parts_.lock->require();
}

void RunRecord::warn(const std::string& sentence) {
  parts_.progress.warnings.push_back(sentence);
  parts_.tell(sentence);
}

void RunRecord::tell_failures() {
  for (const auto& sentence : checkpoints_.take_failures()) {
    unsaved_.push_back(sentence);
    parts_.tell(sentence);
  }
  for (const auto& sentence : checkpoints_.take_trace_failures()) parts_.tell(sentence);
  if (const auto step = checkpoints_.take_saved_step()) stored_step_ = step;
}

}  // namespace elbow::trainer
