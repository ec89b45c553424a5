// Exact metrics of one row on one split: every example counts once, whatever the number of ranks;
// nothing is padded or dropped.
//
// The split is cut into leaves of a fixed number of examples, and their float64 sums are added in
// one fixed tree (split_sum.h), so that the result has the same bits on any world (in exact mode
// also for any number of threads and any pack).
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "comm/communicator.h"
#include "models/model.h"
#include "trainer/batch.h"
#include "trainer/condition.h"
#include "trainer/dataset.h"
#include "trainer/leaves.h"
#include "trainer/observer.h"
#include "trainer/pack.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// recon_nats at or above this share of the baseline is a collapse: z tells the decoder nothing.
inline constexpr double kCollapseShare = 0.99;

enum class SplitId : uint32_t {
  kTrain = 0,
  kValidation = 1,
  kTest = 2
};  // keys the evaluation's noise

struct EvaluationParts {
  const models::Model& model;
  const Split& data;
  SplitId split;
  BatchRequest request;  // as in training, but where training binarises anew at each presentation,
                         // one fixed draw is measured
  const models::Objective& objective;
  double scale;               // of the loss: 1, or 1 / observed
  at::Tensor mean_picture{};  // of the training split (mean_picture.h), of x's pixels; undefined:
                              // no baseline
  const ConditionPlan* condition = nullptr;  // null: there is none
};

// The request that an evaluation makes of the split in place of training's.
BatchRequest measured_request(const Split& data, BatchRequest training);

// Examples `range` of a split as an evaluation sees them, and the noise that it uses, on the host.
// samples: draws of noise an example. Threads may call it at once.
models::Batch batch_of(const EvaluationParts& parts, uint64_t seed, Range range,
                       int64_t samples = 1);

// The examples `indices` of the split likewise, without noise.
models::Batch pairs_of(const EvaluationParts& parts, std::span<const int64_t> indices);

// The batch's tensors on `device`.
models::Batch on_device(const models::Batch& batch, at::Device device);

// For passes without gradients; rounded, where the model's products want that. On the CPU float32
// products are in order (leaves), and what is measured has the same bits on any CPU with AVX2; or
// not (trials), which is faster where each has few lines.
models::BoundParameters bound_for_measuring(const models::Model& model,
                                            const at::Tensor& parameters,
                                            models::Rows rows = models::Rows::kLeaves);

// Every rank calls it. parameters: [1, P], the row's; it runs on their device, with batches and
// noise made on the host. The noise is keyed by (row.seed, split, example), one draw an example.
// `epoch` and `step` of the result are the row's; seconds and examples_per_s are this call's.
// Throws comm::PeerLost.
SplitMetrics evaluate(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                      comm::Communicator& ranks, ThreadTeam& team);

// Turns sums over a split into means per example. sums: kMetricSums numbers; loss is kLoss /
// kExamples.
SplitMetrics metrics_of(const double* sums);

}  // namespace elbow::trainer
