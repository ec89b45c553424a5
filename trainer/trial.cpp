#include "trainer/trial.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>

#include "comm/error.h"
#include "comm/text.h"
#include "trainer/checkpoint_exchange.h"
#include "trainer/healing.h"
#include "trainer/run_record.h"
#include "trainer/seconds_since.h"
#include "trainer/takeover.h"

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDone = 0, kFailed = 1, kResumable = 75, kUnresumable = 86;

std::string early_stop_text(const SplitMetrics& best, int64_t patience) {
  return fmt::format("stopped early: {} epochs without a better elbo on split '{}' than epoch {}'s",
                     patience, best.split, best.epoch);
}

class Trial {
 public:
  Trial(const TrialParts& parts, Trainer& trainer)
      : parts_(parts), trainer_(trainer), observer_(parts.observer), members_(parts.ranks) {}

  RunResult run();

 private:
  void begin();
  void train();
  void end_epoch(const EpochResult& epoch);
  bool roll_back(const NonFinite& error);
  std::optional<Checkpoint> last_good_checkpoint();

  void open_record();
  void finish();
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
  void agree_on_writer();
  void take_over();
  void leave_after(const std::string& loss);
  Standing standing() const;

  void log(const std::string& sentence) const {
    if (parts_.log) parts_.log(sentence);
  }
  void note(const std::string& sentence);
  void warn(const std::string& sentence);

  comm::Communicator& ranks() const { return trainer_.ranks(); }
  const RunLock* lock() const { return own_lock_ ? &*own_lock_ : parts_.lock; }
  void take_lock();
  void require_lock() const {
    if (lock() != nullptr) lock()->require();
  }

  const TrialParts& parts_;
  Trainer& trainer_;
  Observer* observer_;
  Members members_;
  const Clock::time_point start_ = Clock::now();
  TrialProgress progress_;
  RunResult result_{.status = RunStatus::kComplete, .exit_code = kDone};
  std::optional<RunLock> own_lock_;    // of a rank that took over
  int64_t takeovers_ = 0;              // by any rank; each may have left its epoch in the lock
  std::unique_ptr<RunRecord> record_;  // rank 0's
  std::optional<Snapshot> first_;      // where a rollback may go back to the start
  bool trained_ = false;               // nothing is left but to write it down
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
    log(loss ? loss->what() : "another rank has lost a peer");
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
  } else if (parts_.settings.train.on_nonfinite == "rollback") {
    first_ = trainer_.snapshot();
  }
  if (ranks().rank() != 0) return;
  open_record();
  record_->go_on_from(parts_.resumed ? std::optional(parts_.resumed->step()) : std::nullopt);
  record_->resume_trace(trainer_);
  if (parts_.save_first && !parts_.resumed) record_->save();
}

void Trial::train() {
  log(fmt::format("trains from step {}", trainer_.pack().rows[0].step));
  const auto after_step = [this] {
    if (record_) record_->save_where_due();
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
        log(fmt::format("stops at step {}, interrupted by {}", trainer_.pack().rows[0].step,
                        result_.interrupted_by));
        return;
      }
      end_epoch(epoch);
    } catch (const NonFinite& error) {
      if (roll_back(error)) continue;
      result_.status = RunStatus::kFailed;
      result_.exit_code = kFailed;
      result_.error = error.what();
      log(error.what());
      return;
    }
  }
  if (!trainer_.finished()) note(early_stop_text(*progress_.best, settings.patience));
}

void Trial::end_epoch(const EpochResult& epoch) {
  const auto& train = epoch.train[0];
  const auto& held_out = epoch.held_out[0];
  const bool new_best = take_epoch(progress_, train, held_out);
  log(fmt::format("epoch {} is done, at step {}, {:.0f} examples/s", train.epoch, train.step,
                  train.examples_per_s));
  if (record_) record_->write_epoch(train, held_out, new_best);
  if (observer_ != nullptr) observer_->on_epoch(train, held_out);
}

// --- Rollbacks -----------------------------------------------------------------------------------

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
    require_lock();
    record_->log().truncate(progress_.metrics_bytes);
    record_->resume_trace(trainer_);
  }
  warn(fmt::format("{}: rollback {} of at most {}, to step {} with {:g} of the learning rate",
                   error.what(), rollbacks, settings.rollback_limit, row.step, factor));
  return true;
}

std::optional<Checkpoint> Trial::last_good_checkpoint() {
  const auto names = tensor_names(trainer_);
  std::optional<Checkpoint> found;
  if (record_) {
    found = record_->newest_before_now();
    if (found || first_) record_->forget_after(found ? found->step() : -1);
  }
  if (comm::broadcast_text(ranks(), found ? "found" : "", 0).empty()) return std::nullopt;
  if (!found) found.emplace();
  broadcast(ranks(), *found, 0, names);
  return found;
}

// --- The end -------------------------------------------------------------------------------------

void Trial::open_record() {
  record_ = std::make_unique<RunRecord>(
      RecordParts{.directory = parts_.directory,
                  .lock = lock(),
                  .trainer = trainer_,
                  .row = 0,
                  .settings = parts_.settings.checkpoint,
                  .identity = parts_.identity,
                  .progress = progress_,
                  .start = start_,
                  .tell = [this](const std::string& sentence) { note(sentence); }});
}

void Trial::finish() {
  ranks().at(trainer_.pack().rows[0].step, "end");
  log(fmt::format("training ends at step {}", trainer_.pack().rows[0].step));
  describe_the_end();
  if (record_) record_->finish(result_);
  take_end(shared_end(ranks(), 0));  // all ranks leave with what rank 0 knows
}

void Trial::describe_the_end() {
  describe_end(result_, progress_, trainer_.pack().rows[0], seconds_since(start_));
  result_.recon_floor_nats = trainer_.recon_floor_nats();
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
  const bool wrote = record_ != nullptr;
  std::vector<std::string> lost;
  while (true) {
    const int lowest = members_.lowest();
    std::ranges::move(regroup(), std::back_inserter(lost));
    if (members_.lowest() != lowest) ++takeovers_;
    try {
      agree_on_writer();
      break;
    } catch (const comm::PeerLost&) {  // another one, meanwhile
    }
  }
  const bool takes_over = record_ && !wrote;
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
  log(result_.healed.back());
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
  require_lock();
  record_->log().end_with(progress_.epochs_done, progress_.final_metrics);
  if (!missed_epoch) return;
  if (observer_ != nullptr)
    observer_->on_epoch(progress_.final_metrics[0], progress_.final_metrics[1]);
  record_->save();
}

void Trial::take_lock() {
  Takeover takeover{.directory = parts_.directory,
                    .patience = parts_.lock_patience,
                    .step = standing().step,
                    .trained = trained_};
  if (parts_.lock_epoch) takeover.newest_epoch = *parts_.lock_epoch + takeovers_;
  own_lock_.emplace(take_over_lock(takeover));
}

// The lowest survivor writes the run, or all of them stop.
void Trial::agree_on_writer() {
  std::string refusal;
  try {
    if (ranks().rank() == 0 && !record_) take_over();
  } catch (const LockLost& error) {
    refusal = error.what();
  }
  refusal = comm::broadcast_text(ranks(), refusal, 0);
  if (!refusal.empty()) throw LockLost(refusal);
}

// Rank 0 of the survivors, where it was not before.
void Trial::take_over() {
  take_lock();
  remove_leftovers(parts_.directory);
  open_record();
  record_->log().end_with(progress_.epochs_done, progress_.final_metrics);
  if (parts_.successor) observer_ = parts_.successor(*own_lock_);
  record_->save();  // what the lost rank was writing may never have come to disk
}

// Where survivors cannot go on: the lowest of them leaves the run folder so that the run can be
// resumed; or complete, where nothing else was left to do.
void Trial::leave_after(const std::string& loss) {
  const auto survivors = ranks().shrink();
  if (survivors->rank() == 0) {
    if (!record_) {
      take_lock();
      open_record();
      record_->log().end_with(progress_.epochs_done, progress_.final_metrics);
    }
    if (!trained_) {
      result_.status = RunStatus::kInterrupted;
      result_.exit_code = kResumable;
      result_.error = loss;
    }
    describe_the_end();
    record_->save_the_last(result_);
    if (!trained_) {
      const bool stored = record_->stored_step().has_value();
      result_.status = stored ? RunStatus::kInterrupted : RunStatus::kFailed;
      result_.exit_code = stored ? kResumable : kUnresumable;
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

}  // namespace

bool is_over(const TrialProgress& progress, const TrainSettings& settings, int64_t total_steps) {
  if (progress.final_metrics.empty()) return false;
  const auto& last = progress.final_metrics.back();
  if (last.step >= total_steps) return true;
  return settings.patience > 0 && progress.best &&
         last.epoch - progress.best->epoch >= settings.patience;
}

RunResult run_trial(const TrialParts& parts, Trainer& trainer) {
  return Trial(parts, trainer).run();
}

}  // namespace elbow::trainer
