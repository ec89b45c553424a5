#include "trainer/trial.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "comm/error.h"
#include "trainer/metrics_log.h"
#include "trainer/posterior_trace.h"
#include "trainer/weights_file.h"

namespace elbow::trainer {
namespace {

constexpr int kDone = 0, kFailed = 1, kResumable = 75, kUnresumable = 86;

// Rank 0: the weights of row 0, under their plain names. Returns the file's path relative to the
// run folder.
std::string save_weights(const RunDirectory& directory, const Trainer& trainer) {
  const auto folder = directory.checkpoint(trainer.pack().rows[0].step);
  std::filesystem::create_directories(folder);
  const auto file = folder / "model.safetensors";
  write_safetensors(file,
                    trainer.model().layout().to_named(trainer.pack().parameters.select(0, 0)));
  return std::filesystem::relative(file, directory.path()).string();
}

// Rank 0: the trace of the epoch that the trainer is in, or of the one that it has just ended.
void save_trace(const RunDirectory& directory, const Trainer& trainer) {
  const auto& pack = trainer.pack();
  const auto trace = trainer.posterior_trace(0);
  if (trace.size(0) == 0) return;
  save_posterior_trace(directory.traces(), pack.rows[0].epoch + (pack.batch > 0 ? 1 : 0), trace);
}

// What is left behind: the weights as they are, then result.json.
void finish(const RunDirectory& directory, Trainer& trainer, RunResult& result) {
  save_trace(directory, trainer);
  result.recon_floor_nats = trainer.recon_floor_nats();
  result.weights = save_weights(directory, trainer);
  write_result(directory.result(), result);
}

// Held-out metrics that are not finite are worse than any that are.
bool better(const SplitMetrics& metrics, const std::optional<SplitMetrics>& best) {
  return !best || !std::isfinite(best->elbo_nats) || metrics.elbo_nats > best->elbo_nats;
}

std::string early_stop_text(const SplitMetrics& best, int64_t patience) {
  return fmt::format("stopped early: {} epochs without a better elbo on split '{}' than epoch {}'s",
                     patience, best.split, best.epoch);
}

// The epochs that are left.
void run_epochs(const TrialParts& parts, Trainer& trainer, MetricsLog* log, RunResult& result) {
  double train_seconds = 0, train_examples = 0;
  const int64_t patience = parts.settings.train.patience;
  while (!trainer.finished()) {
    const auto epoch = trainer.run_epoch(parts.observer, &parts.interruption);
    if (epoch.interrupted) {
      result.status = RunStatus::kInterrupted;
      result.exit_code = kResumable;
      return;
    }
    const auto& train = epoch.train[0];
    const auto& held_out = epoch.held_out[0];
    if (log != nullptr) {
      log->write(train);
      log->write(held_out);
      save_trace(parts.directory, trainer);
    }
    if (parts.observer != nullptr) parts.observer->on_epoch(train, held_out);
    if (better(held_out, result.best)) result.best = held_out;
    result.final_metrics = {train, held_out};
    result.epochs_done = train.epoch;
    train_seconds += train.seconds;
    train_examples += static_cast<double>(train.examples);
    result.examples_per_s = train_examples / train_seconds;
    if (patience > 0 && train.epoch - result.best->epoch >= patience && !trainer.finished()) {
      if (parts.observer != nullptr)
        parts.observer->on_note(early_stop_text(*result.best, patience));
      return;
    }
  }
}

// The survivors of a lost rank agree on who is the lowest of them, and that one finishes the run
// folder.
void finish_after_loss(const TrialParts& parts, Trainer& trainer, RunResult& result,
                       const comm::PeerLost& loss) {
  const auto survivors = parts.ranks.shrink();
  if (survivors->rank() != 0) return;
  result.status = RunStatus::kFailed;
  result.exit_code = kUnresumable;
  result.error = loss.what();
  finish(parts.directory, trainer, result);
}

}  // namespace

RunResult run_trial(const TrialParts& parts, Trainer& trainer) {
  const auto start = std::chrono::steady_clock::now();
  const bool writes = parts.ranks.rank() == 0;
  std::unique_ptr<MetricsLog> log;
  if (writes) log = std::make_unique<MetricsLog>(parts.directory.metrics());

  RunResult result{.status = RunStatus::kComplete, .exit_code = kDone};
  const auto note_the_end = [&] {
    result.steps_done = trainer.pack().rows[0].step;
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  try {
    run_epochs(parts, trainer, log.get(), result);
  } catch (const NonFinite& error) {
    result.status = RunStatus::kFailed;
    result.exit_code = kFailed;
    result.error = error.what();
  } catch (const comm::PeerLost& loss) {
    note_the_end();
    finish_after_loss(parts, trainer, result, loss);
    throw;
  }
  note_the_end();
  if (writes) finish(parts.directory, trainer, result);
  return result;
}

}  // namespace elbow::trainer
