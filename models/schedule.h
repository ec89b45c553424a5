// Schedules: pure functions of the optimizer step, counted from 0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

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

}  // namespace elbow::models
