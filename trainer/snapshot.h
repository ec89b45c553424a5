// All that a Trainer needs to go on from exactly where it was, as copies on the host: of a pack of
// K rows, each row's part complete in itself. Nothing of it depends on ranks, threads or devices.
//
// What a checkpoint stores, and what a survivor of a lost rank hands to others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "trainer/pack.h"

namespace elbow::trainer {

struct RowSnapshot {
  Row row;                   // hyper-parameters, seed, epoch and step
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
