#include "launch/doctor/estimate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "launch/doctor/places.h"
#include "launch/duration_text.h"
#include "trainer/seconds_since.h"

namespace elbow::launch::doctor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kWarmUpSteps = 5;
constexpr int64_t kLeastSteps = 5, kMostSteps = 200;
constexpr double kMeasuredSeconds = 0.5;
constexpr int64_t kMeasuredExamples = 2000;
constexpr double kForwardShare = 1.0 / 3;  // of a step's work: backward is two products for its one

// Rank 0's number on all ranks.
double of_rank_0(comm::Communicator& ranks, double value) {
  auto number = at::full({1}, value, at::kDouble);
  ranks.broadcast(number, 0);
  return number.item<double>();
}

double step_seconds(trainer::Trainer& trainer, comm::Communicator& ranks) {
  const auto run = [&](int64_t steps) {
    ranks.barrier();
    const auto start = Clock::now();
    trainer.run_steps(steps);
    ranks.barrier();
    return trainer::seconds_since(start) / static_cast<double>(steps);
  };
  const double first = of_rank_0(ranks, run(kWarmUpSteps));
  const auto steps = static_cast<int64_t>(kMeasuredSeconds / std::max(first, 1e-6));
  return of_rank_0(ranks, run(std::clamp(steps, kLeastSteps, kMostSteps)));
}

// Of the split after an epoch: its first examples where they lie in memory, else from the step.
double evaluation_seconds(trainer::Trainer& trainer, const trainer::Dataset& data,
                          int64_t batch_size, comm::Communicator& ranks, double step_s) {
  const auto& split = data.selection();
  const auto examples = static_cast<double>(split.examples());
  if (split.source) {
    return examples / static_cast<double>(batch_size) * step_s * kForwardShare;
  }
  auto some = split;
  const int64_t count = std::min(split.examples(), kMeasuredExamples);
  some.images = split.images.narrow(0, 0, count);
  if (split.labels.defined()) some.labels = split.labels.narrow(0, 0, count);
  if (split.attributes.defined()) some.attributes = split.attributes.narrow(0, 0, count);
  const auto measure = [&] {
    const auto start = Clock::now();
    trainer.evaluate_row(0, some, trainer::SplitId::kTest);
    return trainer::seconds_since(start);
  };
  measure();  // counts the mean picture once
  return of_rank_0(ranks, measure()) * examples / static_cast<double>(count);
}

bool one_host(const comm::Communicator& ranks) {
  for (int rank = 1; rank < ranks.size(); ++rank)
    if (ranks.host(rank) != ranks.host(0)) return false;
  return true;
}

// Two copies of weights and optimizer state, and a summand for each slice of the batch.
int64_t shared_memory_of(const Training& training, const comm::Communicator& ranks) {
  if (ranks.size() == 1 || !one_host(ranks) || !training.devices.own.is_cpu()) return 0;
  const auto& trainer = *training.trainer;
  const int64_t row = trainer.model().layout().size() * int64_t{sizeof(float)};
  const int64_t slices =
      trainer.leaves() > 0 ? trainer.leaves() : ranks.size() * training.team->size();
  return 2 * row * (1 + trainer.optimizer().states()) + (slices + 1) * row;
}

}  // namespace

StepCost measure_steps(trainer::Trainer& trainer, const trainer::Dataset& data, int64_t batch_size,
                       comm::Communicator& ranks) {
  const double step_s = step_seconds(trainer, ranks);
  return {.step_s = step_s,
          .evaluation_s = evaluation_seconds(trainer, data, batch_size, ranks, step_s),
          .checkpoint_bytes = trainer.model().layout().trainable() * int64_t{sizeof(float)} *
                              (1 + trainer.optimizer().states())};
}

Estimate measure_training(Training& training, World& world) {
  auto& ranks = training.ranks(world);
  auto& trainer = *training.trainer;
  Estimate estimate{.config = training.config.name,
                    .devices = training.devices.why,
                    .parameters = trainer.model().layout().trainable(),
                    .steps = trainer.total_steps(),
                    .steps_per_epoch = trainer.steps_per_epoch()};
  world.together([&] {
    const auto cost =
        measure_steps(trainer, training.data, training.config.settings.train.batch_size, ranks);
    estimate.step_s = cost.step_s;
    estimate.evaluation_s = cost.evaluation_s;
    estimate.checkpoint_bytes = cost.checkpoint_bytes;
  });
  estimate.total_s = static_cast<double>(estimate.steps) * estimate.step_s +
                     static_cast<double>(trainer.epochs()) * estimate.evaluation_s;
  estimate.shared_memory_bytes = shared_memory_of(training, ranks);
  return estimate;
}

std::string estimate_text(const Estimate& estimate) {
  const int64_t epochs = (estimate.steps + estimate.steps_per_epoch - 1) /
                         std::max<int64_t>(1, estimate.steps_per_epoch);
  return fmt::format(
      "time       about {}: {} steps of {:.3g} ms, {} evaluations of {}\n"
      "checkpoint {} each: {} parameters with their optimizer state\n",
      duration_text(estimate.total_s), estimate.steps, estimate.step_s * 1e3, epochs,
      duration_text(estimate.evaluation_s), bytes_text(estimate.checkpoint_bytes),
      estimate.parameters);
}

}  // namespace elbow::launch::doctor
