// All that a Trainer needs to go on from exactly where it was, as copies on the host: of a pack of
// K rows, each row's part complete in itself. Nothing of it depends on ranks, threads or devices.
//
// What a checkpoint stores, and what a survivor of a lost rank hands to others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace elbow::trainer {

// Of a Row what names it and what may change as it goes on; the rest follows from its settings.
struct RowSnapshot {
  uint64_t seed = 0;
  double beta = 1;
  double lr = 0;
  double rate_factor = 1;
  int64_t epoch = 0;
  int64_t step = 0;
  std::vector<double> sums;  // kMetricSums numbers: of this epoch's steps so far
  at::Tensor parameters;     // [P], float32, contiguous, on the CPU
  at::Tensor state;          // [S, P], the optimizer's, likewise
};

struct Snapshot {
  std::vector<RowSnapshot> rows;
  int64_t batch = 0;         // batches of the epoch that are done; all of them: not yet evaluated
  double epoch_seconds = 0;  // that these took
};

}  // namespace elbow::trainer
