#include "trainer/checkpoint_writer.h"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <utility>

#include "trainer/checkpoint_rules.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

std::optional<int64_t> best_step(const Checkpoint& checkpoint) {
  const auto& best = checkpoint.progress.at(0).best;
  return best ? std::optional(best->step) : std::nullopt;
}

}  // namespace

CheckpointWriter::CheckpointWriter(const WriterParts& parts) : parts_(parts) {}

void CheckpointWriter::save(Checkpoint checkpoint, PosteriorTrace trace) {
  auto rules = parts_.settings;
  rules.keep_last = 1;
  const int64_t step = checkpoint.step();
  const bool may_be_dropped =
      !steps_to_remove(rules, {step, step + 1}, parts_.steps_per_epoch, best_step(checkpoint))
           .empty();
  const auto held = std::make_shared<const Checkpoint>(std::move(checkpoint));
  const bool traced_first_epoch = trace.epoch == 1 && held->snapshot.batch == 0;
  thread_.submit(
      [this, held, trace = std::move(trace)] {
        write(trace);
        write(*held);
      },
      may_be_dropped && !traced_first_epoch);
}

void CheckpointWriter::save_first_epoch(PosteriorTrace trace) {
  thread_.wait();
  thread_.submit([this, trace = std::move(trace)] { write(trace); }, /*may_be_dropped=*/false);
}

void CheckpointWriter::wait() { thread_.wait(); }

std::vector<std::string> CheckpointWriter::take_failures() {
  const std::lock_guard lock(mutex_);
  if (lost_) throw LockLost(*lost_);
  return std::exchange(failures_, {});
}

std::vector<std::string> CheckpointWriter::take_trace_failures() {
  const std::lock_guard lock(mutex_);
  return std::exchange(trace_failures_, {});
}

std::optional<int64_t> CheckpointWriter::take_saved_step() {
  const std::lock_guard lock(mutex_);
  return std::exchange(saved_step_, std::nullopt);
}

void CheckpointWriter::write(const Checkpoint& checkpoint) {
  try {
    if (parts_.lock != nullptr) parts_.lock->require();
    sync_path(parts_.directory.metrics());  // what the checkpoint counts on
    write_checkpoint(parts_.directory, checkpoint, parts_.names);
    const std::lock_guard lock(mutex_);
    saved_step_ = checkpoint.step();
  } catch (const LockLost& error) {
    const std::lock_guard lock(mutex_);
    lost_ = error.what();
    return;
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(
        fmt::format("the checkpoint of step {} could not be saved: {}; the run goes on without it",
                    checkpoint.step(), error.what()));
    return;
  }
  remove_old(checkpoint);
}

void CheckpointWriter::write(const PosteriorTrace& trace) {
  if (!trace.values.defined()) return;
  try {
    if (parts_.lock != nullptr) parts_.lock->require();
    save_posterior_trace(parts_.directory.traces(), trace);
  } catch (const LockLost& error) {
    const std::lock_guard lock(mutex_);
    lost_ = error.what();
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    trace_failures_.push_back(fmt::format("the posterior's trace is not saved: {}", error.what()));
  }
}

void CheckpointWriter::remove_old(const Checkpoint& newest) {
  try {
    const auto steps = checkpoint_steps(parts_.directory);
    for (const int64_t step :
         steps_to_remove(parts_.settings, steps, parts_.steps_per_epoch, best_step(newest)))
      remove_checkpoint(parts_.directory, step);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(fmt::format("an old checkpoint could not be removed: {}", error.what()));
  }
}

}  // namespace elbow::trainer
