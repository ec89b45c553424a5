// Schedules: pure functions of the optimizer step, counted from 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace elbow::models {

// Linear warm-up of the KL's weight: min((step + 1) / (anneal_steps + 1), 1); 1 for anneal_steps =
// 0 (redonovan/VAE's meaning).
inline double linear_annealing(int64_t step, double anneal_steps) {
  return std::min((static_cast<double>(step) + 1.0) / (anneal_steps + 1.0), 1.0);
}

enum class AnnealingShape { kLinear, kSigmoid, kCosine, kCyclical };

// How the KL's weight grows from 0 to 1 over `steps` optimizer steps; 1 for steps = 0.
struct Annealing {
  AnnealingShape shape = AnnealingShape::kLinear;
  double steps = 0;
  double cycles = 4;  // cyclical: into how many equal cycles the steps fall,
  double rise = 0.5;  // and the share of a cycle in which the weight rises; then it stays 1
};

// With x = linear_annealing(step, steps), the share of the way:
//   linear    x
//   sigmoid   (s(12 (x - 1/2)) - s(-6)) / (s(6) - s(-6)), s the logistic function (the shape of
//             Bowman et al. 2016, "Generating sentences from a continuous space", from 0 to 1)
//   cosine    (1 - cos(pi x)) / 2
//   cyclical  linear within each cycle (Fu et al. 2019, "Cyclical annealing schedule", equation 6);
//             1 after the last
inline double annealing(const Annealing& how, int64_t step) {
  const double x = linear_annealing(step, how.steps);
  if (x >= 1) return 1;
  switch (how.shape) {
    case AnnealingShape::kSigmoid: {
      const auto logistic = [](double a) { return 1.0 / (1.0 + std::exp(-a)); };
      const double low = logistic(-6), high = logistic(6);
      return (logistic(12 * (x - 0.5)) - low) / (high - low);
    }
    case AnnealingShape::kCosine:
      return 0.5 * (1.0 - std::cos(std::numbers::pi * x));
    case AnnealingShape::kCyclical: {
      const double within = x * how.cycles - std::floor(x * how.cycles);
      return std::min(within / how.rise, 1.0);
    }
    case AnnealingShape::kLinear:
      break;
  }
  return x;
}

// The KL that capacity asks for: from `from` to `to` nats, linearly over `steps` optimizer steps
// (Burgess et al. 2018, "Understanding disentangling in beta-VAE", section 5).
struct Capacity {
  double from = 0;
  double to = 0;
  double steps = 0;
};

inline double capacity_nats(const Capacity& how, int64_t step) {
  if (how.steps <= 0) return how.to;
  return how.from + (how.to - how.from) * std::min(static_cast<double>(step) / how.steps, 1.0);
}

enum class RateShape { kConstant, kStages, kMilestones, kCosine };

struct RateStage {
  int64_t epochs;
  double rate;
};

// How the learning rate changes over a run. Whatever the shape, it grows linearly over the first
// `warmup_steps` optimizer steps.
struct RateSchedule {
  RateShape shape = RateShape::kConstant;
  std::vector<RateStage> stages{};    // stages: rates for so many epochs each; the last one stays
  std::vector<int64_t> milestones{};  // milestones: after each of these epochs the rate is
  double factor = 0.1;                // multiplied by this
  double end = 0;          // cosine: what the rate falls to (Loshchilov & Hutter 2017, "SGDR",
  double total_steps = 0;  // equation 5, without restarts), at this step
  double warmup_steps = 0;
};

// epoch: of this step, from 0.
inline double learning_rate(double rate, const RateSchedule& how, int64_t epoch, int64_t step) {
  if (how.shape == RateShape::kStages) {
    int64_t end = 0;
    for (const auto& stage : how.stages) {
      rate = stage.rate;
      end += stage.epochs;
      if (epoch < end) break;
    }
  }
  if (how.shape == RateShape::kMilestones) {
    for (const int64_t milestone : how.milestones) rate *= epoch >= milestone ? how.factor : 1.0;
  }
  const auto done = static_cast<double>(step);
  if (done < how.warmup_steps) return rate * (done + 1) / how.warmup_steps;
  if (how.shape == RateShape::kCosine) {
    const double way =
        (done - how.warmup_steps) / std::max(how.total_steps - how.warmup_steps, 1.0);
    rate = how.end + 0.5 * (rate - how.end) * (1 + std::cos(std::numbers::pi * std::min(way, 1.0)));
  }
  return rate;
}

}  // namespace elbow::models
