// One optimizer update of every row of a pack that steps, on one global batch per row: gather,
// forward, backward, sum over slices and ranks, update. On each rank the updates of all rows are
// applied wholly or not at all: where a peer is lost between two rows, those that were updated go
// back.
//
// Ranks of one host share the update: each does some columns of every row, into the other of two
// copies of the pack, which becomes the pack's when all are done. Elsewhere each rank does all.
//
// It runs on the device of the pack's parameters. On any device, batches and noise are made on the
// host, and copied. On another than the CPU the update goes to the other copy too, gated there by
// the gradient being finite and by the communicator's abort word.
//
// Every rank of the group calls run() in the same order. The pack, data and team are the caller's
// and must outlive the step.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
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
#include "trainer/pack_copies.h"
#include "trainer/step_times.h"
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
  // business). Returns the sums over the global batch, [K, kMetricSums], equal on all ranks, zeros
  // for rows that do not step; kLoss is examples times loss. stop_vote: whether this rank wants to
  // stop; the votes of all ranks are summed in each row.
  //
  // Where a row is not finite a pack of one throws NonFinite, and nothing has changed; in a larger
  // one that row becomes inactive, with its weights before the step, and the others go on.
  // Throws comm::PeerLost.
  at::Tensor run(bool stop_vote);

  // What the steps since the last call took on this rank, forward and backward, without waits.
  StepTimes take_times() { return clock_.take(); }

  // Rows that the last run() found not to be finite.
  const std::vector<NonFinite>& nonfinite() const { return nonfinite_; }

  // For a row that does not step any more while others do: its weights stay as they are. Every rank
  // of the group calls it.
  void hold(int64_t row);

  // mu and sigma of the last step's first example, before the update: [K, 2, latent], float32,
  // equal on all ranks.
  const at::Tensor& posterior_of_first() const { return posterior_of_first_; }

 private:
  struct Slot;  // the working memory of one slice, or of all as the rows of a stack

  Slot make_slot(int64_t rows, int64_t largest, const at::Tensor& gradient) const;
  bool goes_together(const Range& batch) const;
  void differentiate_together(int64_t row, const Range& batch);
  void differentiate(int64_t row, const Range& batch);
  void run_slices(const std::function<void(int64_t slice)>& work);
  UpdateRates rates_of(const Row& row) const;
  void take_sums(int64_t row, const at::Tensor& summed, double* sums);
  bool is_finite(int64_t row, const at::Tensor& gradient);
  bool updated_here(int64_t row, double* sums);
  bool updated_together(int64_t row, double* sums);
  void require_applied(const Range& batch, at::Tensor& result);
  const models::BoundParameters& parameters_of(const Slot& slot, int64_t row) const;
  void round_parameters(int64_t row);
  void prefetch_next_batch(const Row& row);
  void gather_slice(int64_t row, const Range& batch, int64_t slice);
  void gather_slice(int64_t row, const Range& batch, int64_t slice, const models::Batch& out);
  bool knows_gradient() const;  // without autograd: then backward() runs forward, too
  void forward(int64_t row, Slot& slot);
  void backward(int64_t row, Slot& slot, int64_t first, const at::Tensor& statistics,
                int64_t batch_size);
  std::span<const Slot> slots_in_use() const;
  void make_row(int64_t row, const Range& batch, at::Tensor& result);
  NonFinite blame(int64_t row, const Range& batch);
  void fail(int64_t row, const Range& batch, at::Tensor& result);

  StepParts parts_;
  Pack& pack_;
  comm::Communicator& ranks_;
  ThreadTeam& team_;
  std::unique_ptr<GradientSum> gradient_sum_;
  std::unique_ptr<PackCopies> copies_;  // null: updated in place
  bool together_ = false;               // the ranks of a host share the update
  bool gated_ = false;                  // on the device, which does not wait for the host
  std::vector<Slot> slots_;
  std::unique_ptr<Slot> all_slots_;  // where slices may go together; null: they may not
  bool went_together_ = false;       // the last differentiate()
  at::Tensor
      rounded_;  // [K, P], bfloat16, of the pack's parameters; undefined without such products
  std::vector<NonFinite> nonfinite_;
  bool stop_vote_ = false;
  double own_seconds_ = 0;  // of the present step
  StepClock clock_;
  at::Tensor posterior_of_first_;
};

}  // namespace elbow::trainer
