#include "trainer/trial.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "comm/error.h"
#include "comm/text.h"
#include "trainer/checkpoint_exchange.h"
#include "trainer/checkpoint_rules.h"
#include "trainer/checkpoint_writer.h"
#include "trainer/error.h"
#include "trainer/healing.h"
#include "trainer/metrics_log.h"
#include "trainer/posterior_trace.h"

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDone = 0, kFailed = 1, kResumable = 75, kUnresumable = 86;
constexpr std::chrono::seconds kLockPatience{10};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Held-out metrics that are not finite are worse than any that are.
bool better(const SplitMetrics& metrics, const std::optional<SplitMetrics>& best) {
  return !best || !std::isfinite(best->elbo_nats) || metrics.elbo_nats > best->elbo_nats;
}

std::string early_stop_text(const SplitMetrics& best, int64_t patience) {
  return fmt::format("stopped early: {} epochs without a better elbo on split '{}' than epoch {}'s",
                     patience, best.split, best.epoch);
}

// What rank 0 has open while a run goes on.
struct Recorder {
  Recorder(const RunDirectory& directory, const WriterParts& writer, uint64_t keep_bytes)
      : log(directory.metrics(), keep_bytes), checkpoints(writer) {}

  MetricsLog log;
  CheckpointWriter checkpoints;
};

class Trial {
 public:
  Trial(const TrialParts& parts, Trainer& trainer)
      : parts_(parts), trainer_(trainer), observer_(parts.observer), members_(parts.ranks) {}

  RunResult run();

 private:
  void begin();
  void train();
  void end_epoch(const EpochResult& epoch);
  void save_where_due(std::optional<int64_t> ended_epoch, bool new_best);
  void save();
  void save_trace();
  void resume_trace();
  Checkpoint checkpoint() const;
  bool roll_back(const NonFinite& error);
  std::optional<Checkpoint> last_good_checkpoint();
  void forget_checkpoints_after(int64_t step);

  void open_record();
  void finish();
  void save_the_last();
  void describe_the_end();

  // How training ended, as far as it has.
  struct End {
    RunStatus status;
    int exit_code;
    bool trained;
    std::string error, interrupted_by;
  };
  End shared_end(comm::Communicator& ranks, int root) const;
  void take_end(const End& end);

  void heal(const std::optional<comm::PeerLost>& loss);
  std::vector<std::string> regroup();
  void level(comm::Communicator& survivors);
  at::Tensor newest_trace(comm::Communicator& survivors, int newest) const;
  void catch_up(const Checkpoint& newest, at::Tensor trace, const End& end);
  void take_over();
  void leave_after(const std::string& loss);
  Standing standing() const;

  void note(const std::string& sentence);
  void warn(const std::string& sentence);
  void tell_failures();

  comm::Communicator& ranks() const { return trainer_.ranks(); }
  const RunLock* lock() const { return own_lock_ ? &*own_lock_ : parts_.lock; }

  const TrialParts& parts_;
  Trainer& trainer_;
  Observer* observer_;
  Members members_;
  const Clock::time_point start_ = Clock::now();
  TrialProgress progress_;
  RunResult result_{.status = RunStatus::kComplete, .exit_code = kDone};
  std::optional<RunLock> own_lock_;   // of a rank that took over
  std::unique_ptr<Recorder> record_;  // rank 0's
  Clock::time_point last_due_ = start_;
  std::optional<Snapshot> first_;  // where a rollback may go back to the start
  bool trained_ = false;           // nothing is left but to write it down

  using Place = std::pair<int64_t, int64_t>;  // step, batch
  Place place() const { return {trainer_.pack().rows[0].step, trainer_.pack().batch}; }
  std::optional<Place> saved_at_;       // what was last handed to the writer
  std::optional<int64_t> stored_step_;  // of the newest checkpoint that lies on disk
  std::vector<std::string> unsaved_;    // why saves failed
};

// --- The loop ------------------------------------------------------------------------------------

// What a lost rank interrupts is done again by the survivors. Nobody leaves before all can.
RunResult Trial::run() {
  begin();
  while (true) {
    std::optional<comm::PeerLost> loss;  // unset: only others have met it
    try {
      if (!trained_) train();
      trained_ = true;
      finish();
      if (ranks().agree(true)) break;
    } catch (const comm::PeerLost& lost) {
      loss = lost;
    }
    if (!trainer_.pack().parameters.is_cpu()) {
      leave_after(loss ? loss->what() : "a peer was lost");
      break;
    }
    heal(loss);
  }
  result_.written_here = record_ != nullptr;
  return result_;
}

void Trial::begin() {
  if (parts_.resumed) {
    trainer_.adopt(parts_.resumed->snapshot);
    progress_ = parts_.resumed->progress.at(0);
    stored_step_ = parts_.resumed->step();
  } else if (parts_.settings.train.on_nonfinite == "rollback") {
    first_ = trainer_.snapshot();
  }
  if (ranks().rank() != 0) return;
  open_record();
  record_->log.truncate(progress_.metrics_bytes);
  if (record_->log.bytes() < progress_.metrics_bytes)
    warn(fmt::format("{} has lost lines that it had when step {} was saved",
                     parts_.directory.metrics().string(), parts_.resumed->step()));
  resume_trace();
  if (parts_.save_first && !parts_.resumed) save();
}

void Trial::train() {
  const auto after_step = [this] {
    if (record_) save_where_due(/*ended_epoch=*/std::nullopt, /*new_best=*/false);
  };
  const auto& settings = parts_.settings.train;
  while (!is_over(progress_, settings, trainer_.total_steps())) {
    try {
      const auto epoch = trainer_.run_epoch(observer_, &parts_.interruption, after_step);
      if (epoch.interrupted) {
        const auto reason = parts_.interruption.reason();
        result_.status = RunStatus::kInterrupted;
        result_.exit_code = kResumable;
        result_.interrupted_by = reason.empty() ? "another rank" : reason;
        return;
      }
      end_epoch(epoch);
    } catch (const NonFinite& error) {
      if (roll_back(error)) continue;
      result_.status = RunStatus::kFailed;
      result_.exit_code = kFailed;
      result_.error = error.what();
      return;
    }
  }
  if (!trainer_.finished()) note(early_stop_text(*progress_.best, settings.patience));
}

void Trial::end_epoch(const EpochResult& epoch) {
  const auto& train = epoch.train[0];
  const auto& held_out = epoch.held_out[0];
  const bool new_best = better(held_out, progress_.best);
  if (new_best) progress_.best = held_out;
  progress_.final_metrics = {train, held_out};
  progress_.epochs_done = train.epoch;
  progress_.train_seconds += train.seconds;
  progress_.train_examples += static_cast<double>(train.examples);
  if (record_) {
    if (lock() != nullptr) lock()->require();
    record_->log.write(train);
    record_->log.write(held_out);
    save_trace();
    save_where_due(train.epoch, new_best);
  }
  if (observer_ != nullptr) observer_->on_epoch(train, held_out);
}

// --- Checkpoints ---------------------------------------------------------------------------------

void Trial::save_where_due(std::optional<int64_t> ended_epoch, bool new_best) {
  tell_failures();
  const SavePoint point{.step = trainer_.pack().rows[0].step,
                        .ended_epoch = ended_epoch,
                        .new_best = new_best,
                        .minutes_since_last = seconds_since(last_due_) / 60};
  if (!save_is_due(parts_.settings.checkpoint, point)) return;
  last_due_ = Clock::now();
  save();
}

void Trial::save() {
  if (trainer_.pack().batch > 0) save_trace();
  if (record_->log.flush()) {
    saved_at_ = place();
    record_->checkpoints.save(checkpoint());
    return;
  }
  unsaved_.push_back(record_->log.failure());
  note(record_->log.failure() + "; the run goes on, and tries again when the next save is due");
}

// Rank 0: of the epoch that the trainer is in, or of the one that it has just ended. A disk that
// refuses it costs the trace, not the run.
void Trial::save_trace() {
  const auto& pack = trainer_.pack();
  const auto trace = trainer_.posterior_trace(0);
  if (trace.numel() == 0) return;
  try {
    save_posterior_trace(parts_.directory.traces(), pack.rows[0].epoch + (pack.batch > 0 ? 1 : 0),
                         trace);
  } catch (const std::system_error& error) {
    note(fmt::format("the posterior's trace is not saved: {}", error.what()));
  }
}

// Rank 0: what a resumed run has of the epoch that it is in.
void Trial::resume_trace() {
  const auto& pack = trainer_.pack();
  const int64_t epoch = pack.rows[0].epoch + (pack.batch > 0 ? 1 : 0);
  const int64_t steps = pack.batch > 0 ? pack.batch : trainer_.steps_per_epoch();
  if (epoch == 0 || trainer_.model().latent() == 0) return;
  try {
    trainer_.set_posterior_trace(0, resume_posterior_traces(parts_.directory.traces(), epoch, steps,
                                                            trainer_.model().latent()));
  } catch (const std::runtime_error& error) {  // of the disk, or of a damaged file
    note(fmt::format("the posterior's trace is not gone on with: {}", error.what()));
  }
}

Checkpoint Trial::checkpoint() const {
  Checkpoint checkpoint{
      .snapshot = trainer_.snapshot(), .progress = {progress_}, .identity = parts_.identity};
  checkpoint.progress[0].seconds += seconds_since(start_);
  checkpoint.progress[0].metrics_bytes = record_->log.bytes();
  return checkpoint;
}

// Every rank: goes back to the last good checkpoint, or to the start, with a smaller rate. False
// where the settings, or the number of rollbacks so far, forbid it. A checkpoint of the very
// weights whose step was not finite is not good: with any rate that step would fail again.
bool Trial::roll_back(const NonFinite& error) {
  const auto& settings = parts_.settings.train;
  if (settings.on_nonfinite != "rollback" || progress_.rollbacks >= settings.rollback_limit)
    return false;
  auto warnings = progress_.warnings;
  const int64_t rollbacks = progress_.rollbacks + 1;
  const double seconds = progress_.seconds;
  saved_at_.reset();
  const auto back = last_good_checkpoint();
  if (!back && !first_) return false;
  trainer_.adopt(back ? back->snapshot : *first_);
  progress_ = back ? back->progress.at(0) : TrialProgress{};
  const auto& row = trainer_.pack().rows.at(error.row());
  // What was saved may have had rollbacks before.
  const double factor =
      row.rate_factor *
      std::pow(settings.rollback_factor, static_cast<double>(rollbacks - progress_.rollbacks));
  progress_.rollbacks = rollbacks;
  progress_.warnings = std::move(warnings);
  progress_.seconds = seconds;  // of earlier launches
  trainer_.set_rate_factor(error.row(), factor);
  if (record_) {
    record_->log.truncate(progress_.metrics_bytes);
    resume_trace();
  }
  warn(fmt::format("{}: rollback {} of at most {}, to step {} with {:g} of the learning rate",
                   error.what(), rollbacks, settings.rollback_limit, row.step, factor));
  return true;
}

std::optional<Checkpoint> Trial::last_good_checkpoint() {
  const auto names = tensor_names(trainer_);
  std::optional<Checkpoint> found;
  if (record_) {
    record_->checkpoints.wait();
    tell_failures();
    try {
      const int64_t step = trainer_.pack().rows[0].step;
      const auto newest = load_newest(parts_.directory, /*before=*/step);
      for (const auto& sentence : newest.damaged) warn(sentence);
      if (newest.checkpoint) found = with_tensors(*newest.checkpoint, names);
    } catch (const DamagedCheckpoint& damage) {
      warn(damage.what());
    }
    if (found || first_) forget_checkpoints_after(found ? found->step() : -1);
  }
  if (comm::broadcast_text(ranks(), found ? "found" : "", 0).empty()) return std::nullopt;
  if (!found) found.emplace();
  broadcast(ranks(), *found, 0, names);
  return found;
}

// Rank 0: what lies on disk beyond the step that the run goes back to would be taken for its
// newest.
void Trial::forget_checkpoints_after(int64_t step) {
  stored_step_ = step >= 0 ? std::optional(step) : std::nullopt;
  try {
    for (const int64_t later : checkpoint_steps(parts_.directory))
      if (later > step) remove_checkpoint(parts_.directory, later);
  } catch (const std::filesystem::filesystem_error& error) {
    warn(error.what());
  }
}

// --- The end -------------------------------------------------------------------------------------

void Trial::open_record() {
  const WriterParts writer{.directory = parts_.directory,
                           .lock = lock(),
                           .names = tensor_names(trainer_),
                           .settings = parts_.settings.checkpoint,
                           .steps_per_epoch = trainer_.steps_per_epoch()};
  record_ = std::make_unique<Recorder>(parts_.directory, writer, UINT64_MAX);
}

void Trial::finish() {
  ranks().at(trainer_.pack().rows[0].step, "end");
  describe_the_end();
  if (record_) {
    save_trace();
    save_the_last();
    try {
      if (lock() != nullptr) lock()->require();
      write_result(parts_.directory.result(), result_);
    } catch (const std::system_error& error) {
      result_.exit_code = kFailed;
      if (result_.error.empty()) result_.error = error.what();
    }
  }
  take_end(shared_end(ranks(), 0));  // all ranks leave with what rank 0 knows
}

void Trial::describe_the_end() {
  result_.epochs_done = progress_.epochs_done;
  result_.steps_done = trainer_.pack().rows[0].step;
  result_.final_metrics = progress_.final_metrics;
  result_.best = progress_.best;
  result_.recon_floor_nats = trainer_.recon_floor_nats();
  result_.seconds = progress_.seconds + seconds_since(start_);
  if (progress_.train_seconds > 0)
    result_.examples_per_s = progress_.train_examples / progress_.train_seconds;
  result_.rollbacks = progress_.rollbacks;
  result_.warnings = progress_.warnings;
}

// Rank 0: the state as it is. Where that cannot be written, the run has failed.
void Trial::save_the_last() {
  record_->checkpoints.wait();
  tell_failures();
  const int64_t step = trainer_.pack().rows[0].step;
  if (saved_at_ != place() || stored_step_ != step || !record_->log.flush()) {
    save();
    record_->checkpoints.wait();
    tell_failures();
  }
  if (stored_step_)
    result_.weights =
        std::filesystem::relative(parts_.directory.checkpoint(*stored_step_) / "model.safetensors",
                                  parts_.directory.path())
            .string();
  if (!unsaved_.empty())
    result_.warnings.push_back(
        fmt::format("{} saves failed, the last one: {}", unsaved_.size(), unsaved_.back()));
  if (stored_step_ == step && record_->log.failure().empty()) return;
  if (result_.error.empty())
    result_.error = fmt::format(
        "the final checkpoint, of step {}, is not on disk: {}; {}", step, unsaved_.back(),
        stored_step_ ? fmt::format("the newest there is of step {}: make room and go on from it "
                                   "with elbow resume",
                                   *stored_step_)
                     : "there is no other");
  result_.status = RunStatus::kFailed;
  result_.exit_code = kFailed;
}

// What `root` knows of the end, on all ranks.
Trial::End Trial::shared_end(comm::Communicator& ranks, int root) const {
  auto numbers = at::empty({3}, at::kLong);
  numbers[0] = static_cast<int64_t>(result_.status);
  numbers[1] = result_.exit_code;
  numbers[2] = trained_ ? 1 : 0;
  ranks.broadcast(numbers, root);
  return {.status = static_cast<RunStatus>(numbers[0].item<int64_t>()),
          .exit_code = static_cast<int>(numbers[1].item<int64_t>()),
          .trained = numbers[2].item<int64_t>() != 0,
          .error = comm::broadcast_text(ranks, result_.error, root),
          .interrupted_by = comm::broadcast_text(ranks, result_.interrupted_by, root)};
}

void Trial::take_end(const End& end) {
  result_.status = end.status;
  result_.exit_code = end.exit_code;
  result_.error = end.error;
  result_.interrupted_by = end.interrupted_by;
  trained_ = end.trained;
}

// --- After a lost peer ---------------------------------------------------------------------------

Standing Trial::standing() const {
  return {.rollbacks = progress_.rollbacks,
          .step = trainer_.pack().rows[0].step,
          .epochs_done = progress_.epochs_done,
          .trained = trained_};
}

void Trial::heal(const std::optional<comm::PeerLost>& loss) {
  const auto began = Clock::now();
  const auto lost = regroup();
  const bool takes_over = ranks().rank() == 0 && !record_;
  if (takes_over) take_over();
  const auto where =
      loss ? fmt::format(" in phase '{}' at step {}", loss->phase(), loss->step()) : "";
  result_.healed.push_back(fmt::format(
      "{} lost{}; {} on from step {} after {:.2f} s{}",
      lost.empty()       ? "a connection was"
      : lost.size() == 1 ? lost[0] + " was"
                         : fmt::format("{} were", fmt::join(lost, ", ")),
      where, ranks().size() == 1 ? "1 rank goes" : fmt::format("{} ranks go", ranks().size()),
      trainer_.pack().rows[0].step, seconds_since(began),
      takes_over ? fmt::format("; rank {} writes the run from here", members_.number()) : ""));
  note(result_.healed.back());
}

// The survivors' group, all of them in one state. Returns who was lost. Another death on the way
// begins it anew: until then each rank's state is whole, old or new. Open MPI 5.0 may call an
// operation that a death interrupted a success, so what comes of it is trusted only when all agree.
std::vector<std::string> Trial::regroup() {
  std::shared_ptr<comm::Communicator> survivors = ranks().shrink();
  while (true) {
    try {
      trainer_.leave_group();
      level(*survivors);
      trainer_.join(survivors);
      if (survivors->agree(survivors->lost_rank() < 0)) return members_.reduce_to(*survivors);
    } catch (const comm::PeerLost&) {
    } catch (const std::exception&) {
      if (survivors->lost_rank() < 0) throw;
    }
    survivors = survivors->shrink();
  }
}

// Those behind get the newest state from a survivor who has it.
void Trial::level(comm::Communicator& survivors) {
  const auto mine = standing();
  survivors.at(mine.step, "healing");
  const int newest = newest_rank(survivors, mine);
  if (newest < 0) return;
  Checkpoint state;
  if (survivors.rank() == newest)
    state = {.snapshot = trainer_.snapshot(), .progress = {progress_}, .identity = parts_.identity};
  broadcast(survivors, state, newest, tensor_names(trainer_));
  const auto trace = newest_trace(survivors, newest);
  const auto end = shared_end(survivors, newest);
  require_same(survivors, digest_of(state, trace));
  if (mine != Standing{.rollbacks = state.progress[0].rollbacks,
                       .step = state.step(),
                       .epochs_done = state.progress[0].epochs_done,
                       .trained = end.trained})
    catch_up(state, trace, end);
}

// The posteriors of the epoch's steps, from `newest`, which need not know those of earlier
// launches.
at::Tensor Trial::newest_trace(comm::Communicator& survivors, int newest) const {
  auto trace = trainer_.posterior_trace(0).contiguous();
  auto steps = at::full({1}, trace.size(0), at::kLong);
  survivors.broadcast(steps, newest);
  if (survivors.rank() != newest)
    trace = at::empty({steps.item<int64_t>(), trace.size(1), trace.size(2)}, trace.options());
  survivors.broadcast(trace, newest);
  return trace;
}

void Trial::catch_up(const Checkpoint& newest, at::Tensor trace, const End& end) {
  const auto& progress = newest.progress[0];
  const bool missed_rollback = progress.rollbacks != progress_.rollbacks;
  const bool missed_epoch = !missed_rollback && progress.epochs_done != progress_.epochs_done;
  auto warnings = std::move(progress_.warnings);
  const auto own = trainer_.posterior_trace(0);
  if (!missed_rollback && own.size(0) < trace.size(0)) trace.narrow(0, 0, own.size(0)).copy_(own);
  trainer_.set_posterior_trace(0, trace);
  trainer_.adopt(newest.snapshot);
  progress_ = progress;
  if (warnings.size() > progress_.warnings.size()) progress_.warnings = std::move(warnings);
  take_end(end);
  if (!record_ || !(missed_rollback || missed_epoch)) return;
  record_->log.end_with(progress_.epochs_done, progress_.final_metrics);
  if (!missed_epoch) return;
  save_trace();
  if (observer_ != nullptr)
    observer_->on_epoch(progress_.final_metrics[0], progress_.final_metrics[1]);
  save();
}

// Rank 0 of the survivors, where it was not before.
void Trial::take_over() {
  own_lock_.emplace(parts_.directory.lock(), kLockPatience);
  remove_leftovers(parts_.directory);
  open_record();
  record_->log.end_with(progress_.epochs_done, progress_.final_metrics);
  if (parts_.successor) observer_ = parts_.successor();
  save();  // what the lost rank was writing may never have come to disk
}

// Where survivors cannot go on: the lowest of them leaves the run folder so that the run can be
// resumed; or complete, where nothing else was left to do.
void Trial::leave_after(const std::string& loss) {
  const auto survivors = ranks().shrink();
  if (survivors->rank() == 0) {
    if (!record_) {
      own_lock_.emplace(parts_.directory.lock(), kLockPatience);
      open_record();
      record_->log.end_with(progress_.epochs_done, progress_.final_metrics);
    }
    if (!trained_) {
      result_.status = RunStatus::kInterrupted;
      result_.exit_code = kResumable;
      result_.error = loss;
    }
    describe_the_end();
    save_the_last();
    if (!trained_) {
      result_.status = stored_step_ ? RunStatus::kInterrupted : RunStatus::kFailed;
      result_.exit_code = stored_step_ ? kResumable : kUnresumable;
    }
    write_result(parts_.directory.result(), result_);
  }
  take_end(shared_end(*survivors, 0));
}

// --- Sentences -----------------------------------------------------------------------------------

void Trial::note(const std::string& sentence) {
  if (observer_ != nullptr) observer_->on_note(sentence);
}

void Trial::warn(const std::string& sentence) {
  progress_.warnings.push_back(sentence);
  note(sentence);
}

void Trial::tell_failures() {
  for (const auto& sentence : record_->checkpoints.take_failures()) {
    unsaved_.push_back(sentence);
    note(sentence);
  }
  if (const auto step = record_->checkpoints.take_saved_step()) stored_step_ = step;
}

}  // namespace

bool is_over(const TrialProgress& progress, const TrainSettings& settings, int64_t total_steps) {
  if (progress.final_metrics.empty()) return false;
  const auto& last = progress.final_metrics.back();
  if (last.step >= total_steps) return true;
  return settings.patience > 0 && progress.best &&
         last.epoch - progress.best->epoch >= settings.patience;
}

TensorNames tensor_names(const Trainer& trainer) {
  return {trainer.model().layout(), trainer.optimizer().state_names()};
}

RunResult run_trial(const TrialParts& parts, Trainer& trainer) {
  return Trial(parts, trainer).run();
}

}  // namespace elbow::trainer
