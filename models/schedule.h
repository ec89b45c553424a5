// Schedules: pure functions of the optimizer step, counted from 0.
#pragma once

#include <algorithm>
#include <cstdint>

namespace elbow::models {

// Linear warm-up of the KL's weight: min((step + 1) / (anneal_steps + 1), 1); 1 for anneal_steps =
// 0 (redonovan/VAE's meaning).
inline double linear_annealing(int64_t step, double anneal_steps) {
  return std::min((static_cast<double>(step) + 1.0) / (anneal_steps + 1.0), 1.0);
}

}  // namespace elbow::models
