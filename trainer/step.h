// One optimizer update of every row of a pack, on one global batch per row: gather, forward,
// backward, sum over slices and ranks, update. On each rank a row's update is applied wholly or not
// at all.
//
// Ranks of one host share the update: each does some columns of every row, into the other of two
// copies of the pack, which becomes the pack's when all are done. Elsewhere each rank does all.
//
// It runs on the device of the pack's parameters. On any device, batches and noise are made on the
// host, and copied.
//
// Every rank of the group calls run() in the same order. The pack, data and team are the caller's
// and must outlive the step.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "models/model.h"
#include "models/objective.h"
#include "trainer/batch.h"
#include "trainer/condition.h"
#include "trainer/dataset.h"
#include "trainer/gradient_sum.h"
#include "trainer/metric_sums.h"
#include "trainer/optimizer.h"
#include "trainer/pack.h"
#include "trainer/shared_pack.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// What a step is made of, all of the shape key.
struct StepParts {
  const models::Model& model;
  const models::Objective& objective;
  const Optimizer& optimizer;
  const Split& data;
  BatchRequest request;  // how bytes become numbers; seed and time are set per row and step
  int64_t batch_size;    // global
  bool shuffle;
  double scale;                              // of the optimised loss: 1, or 1 / observed
  int64_t leaves;                            // exact mode; 0 is fast mode
  const ConditionPlan* condition = nullptr;  // null: there is none
};

// A row whose loss or gradient is not a finite number. Known alike to all ranks; the row's weights
// are those before the step.
class NonFinite : public std::runtime_error {
 public:
  NonFinite(int64_t row, const std::string& sentence) : std::runtime_error(sentence), row_(row) {}
  int64_t row() const { return row_; }

 private:
  int64_t row_;
};

class Step {
 public:
  Step(StepParts parts, Pack& pack, comm::Communicator& ranks, ThreadTeam& team);
  ~Step();

  int64_t batches_per_epoch() const;

  // Makes one step of the pack and advances its counters (what an epoch's end means is the caller's
  // business). Returns the sums over the global batch, [K, kMetricSums], equal on all ranks; kLoss
  // is examples times loss. stop_vote: whether this rank wants to stop; the votes of all ranks are
  // summed.   Throws NonFinite, comm::PeerLost.
  at::Tensor run(bool stop_vote);

  // mu and sigma of the last step's first example, before the update: [K, 2, latent], float32,
  // equal on all ranks.
  const at::Tensor& posterior_of_first() const { return posterior_of_first_; }

 private:
  struct Slot;  // the working memory of one slice

  void differentiate(int64_t row, const Range& batch);
  UpdateRates rates_of(const Row& row) const;
  void take_sums(int64_t row, const at::Tensor& summed, double* sums);
  bool updated_here(int64_t row, double* sums);
  bool updated_together(int64_t row, double* sums);
  const models::BoundParameters& parameters_of(const Slot& slot, int64_t row) const;
  void round_parameters(int64_t row);
  void prefetch_next_batch(const Row& row);
  void gather_slice(int64_t row, const Range& batch, int64_t slice);
  void forward(int64_t row, int64_t slice);
  void backward(int64_t row, int64_t slice, const at::Tensor& statistics, int64_t batch_size);
  [[noreturn]] void report_nonfinite(int64_t row, const Range& batch);

  StepParts parts_;
  Pack& pack_;
  comm::Communicator& ranks_;
  ThreadTeam& team_;
  std::unique_ptr<GradientSum> gradient_sum_;
  std::unique_ptr<SharedPack> shared_;  // where the ranks of a host share the update
  std::vector<Slot> slots_;
  at::Tensor
      rounded_;  // [K, P], bfloat16, of the pack's parameters; undefined without such products
  bool stop_vote_ = false;
  at::Tensor posterior_of_first_;
};

}  // namespace elbow::trainer
