// K trials of one shape that are trained together as K rows: their hyper-parameters, counters,
// weights and optimizer state.
//
// Rows share their position within the epoch and everything of the shape key (architecture, batch
// size, kind of optimizer, data); what may differ between them is a number per row here, so that a
// row can be replaced without rebuilding anything.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/objective.h"
#include "models/schedule.h"

namespace elbow::trainer {

struct Row {
  uint64_t seed = 1;
  double beta = 1;             // weight of the KL on the summed scale, ...
  models::Annealing anneal{};  // ... and how it comes about
  models::Capacity capacity{};
  double free_bits = 0;     // nats a group
  double sigma_weight = 0;  // on the summed scale
  double l2 = 0;            // on the optimised scale
  double lr = 1e-3;
  models::RateSchedule rate{};    // what becomes of lr
  double rate_factor = 1;         // of that, after rollbacks
  double clip_norm = 0;           // largest norm of the gradient, without L2's; 0: any
  int64_t epoch = 0;              // epochs begun before this one: keys the order
  int64_t step = 0;               // optimizer steps made: keys the noise and the schedules
  int64_t last_step = INT64_MAX;  // with train.steps: where the row stops, in an epoch too
  bool active = true;             // false: an empty place, or a row that is over

  bool steps() const { return active && step < last_step; }
};

// The weights of the row's loss at its present step. scale: 1, or 1 / observed.
models::LossWeights loss_weights(const Row& row, double scale);

// The same as tensors on `device`, for a batch of so many examples.
models::ObjectiveContext context_of(const models::LossWeights& weights, int64_t batch_size,
                                    at::Device device);

struct Pack {
  std::vector<Row> rows;
  at::Tensor parameters;  // [K, P], float32, on any device
  at::Tensor state;       // [K, S, P], float32, on the same: the optimizer's
  int64_t batch = 0;      // batches of the current epoch that are done
};

}  // namespace elbow::trainer
