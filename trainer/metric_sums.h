// What a leaf adds up besides its gradient: sums in float64 with counts, mergeable by addition
// alone. Knows nothing of ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/objective.h"

namespace elbow::trainer {

// Columns of a row of sums.
enum MetricSum : int64_t {
  kExamples,
  kReconstructionNats,
  kKlNats,
  kLoss,  // contributions to the optimised loss of one step; examples times loss once a step is
          // finished
  kStopVotes,  // ranks that want to stop after this step
  kLatents,    // examples times latent dimensions: the count of the sums below
  kMeanSum,
  kMeanSquareSum,
  kScaleSum,
  kScaleSquareSum,
  kBentScales,  // posterior scales outside [e^-9, e^4], where a log-variance's clamp bends
  kMetricSums,
};

// Writes the sums of one leaf over its examples into `out` [rows, kMetricSums], float64 on the CPU.
// kLoss and kStopVotes are left 0. Each row is added in the order of its examples, by one thread.
void sum_terms(const models::ExampleTerms& terms, at::Tensor out);

}  // namespace elbow::trainer
