#include "trainer/trial.h"

#include <ATen/ATen.h>

#include <memory>

#include "trainer/metrics_log.h"
#include "trainer/weights_file.h"

namespace elbow::trainer {
namespace {

constexpr int kDone = 0, kFailed = 1, kResumable = 75;

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

}  // namespace

RunResult run_trial(const TrialParts& parts, Trainer& trainer) {
  const bool writes = parts.directory != nullptr;
  std::unique_ptr<MetricsLog> log;
  if (writes) log = std::make_unique<MetricsLog>(parts.directory->metrics());

  RunResult result{.status = RunStatus::kComplete, .exit_code = kDone};
  double train_seconds = 0, train_examples = 0;
  try {
    while (result.epochs_done < parts.settings.train.epochs) {
      const auto epoch = trainer.run_epoch(parts.observer, &parts.interruption);
      if (epoch.interrupted) {
        result.status = RunStatus::kInterrupted;
        result.exit_code = kResumable;
        break;
      }
      const auto& train = epoch.train[0];
      const auto& held_out = epoch.held_out[0];
      if (log) {
        log->write(train);
        log->write(held_out);
      }
      if (parts.observer != nullptr) parts.observer->on_epoch(train, held_out);
      if (!result.best || held_out.elbo_nats > result.best->elbo_nats) result.best = held_out;
      result.final_metrics = {train, held_out};
      result.epochs_done = train.epoch;
      train_seconds += train.seconds;
      train_examples += static_cast<double>(train.examples);
      result.seconds += train.seconds + held_out.seconds;
    }
  } catch (const NonFinite& error) {
    result.status = RunStatus::kFailed;
    result.exit_code = kFailed;
    result.error = error.what();
  }
  result.steps_done = trainer.pack().rows[0].step;
  if (train_seconds > 0) result.examples_per_s = train_examples / train_seconds;
  if (writes) {
    result.weights = save_weights(*parts.directory, trainer);
    write_result(parts.directory->result(), result);
  }
  return result;
}

}  // namespace elbow::trainer
