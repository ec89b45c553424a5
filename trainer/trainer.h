// Trains the rows of a pack, epoch by epoch, and measures them. Writes no files and knows no
// command line.
//
// Every rank of the group makes the same calls in the same order.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "models/model.h"
#include "trainer/assembly.h"
#include "trainer/dataset.h"
#include "trainer/evaluation.h"
#include "trainer/interruption.h"
#include "trainer/observer.h"
#include "trainer/pack.h"
#include "trainer/settings.h"
#include "trainer/snapshot.h"
#include "trainer/step.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

struct EpochResult {
  bool interrupted =
      false;  // the ranks agreed to stop before the epoch's end; the metrics are then empty
  std::vector<SplitMetrics> train;     // one a row
  std::vector<SplitMetrics> held_out;  // one a row, on Dataset::selection()
};

class Trainer {
 public:
  // `settings` gives what all rows share (the shape key); `rows` what may differ. Weights are
  // initialised from each row's seed. device: where weights, gradients and optimizer state live and
  // steps run; another than the CPU wants a team of one. The referenced objects must outlive the
  // trainer.   Throws SettingError.
  Trainer(const Settings& settings, std::vector<Row> rows, const Dataset& data,
          comm::Communicator& ranks, ThreadTeam& team, at::Device device = at::kCPU);

  // Optimizer steps of the whole run, and the epochs that they begin.
  int64_t total_steps() const;
  int64_t epochs() const { return (total_steps() + steps_per_epoch() - 1) / steps_per_epoch(); }
  bool finished() const { return pack_.rows[0].step >= total_steps(); }

  // Puts named weights, in PyTorch's layout, into every row. Throws std::invalid_argument that
  // names the tensor that does not fit.
  void start_from(const std::vector<std::pair<std::string, at::Tensor>>& weights);

  // From the pack's position to the end of its epoch, or of the run, and the evaluation after it.
  // Each may be
  // null; `observer` gets on_step only. after_step: called where the epoch goes on after a step, a
  // place for snapshots. Throws NonFinite and comm::PeerLost, and the pack is then where its last
  // whole step has left it.
  EpochResult run_epoch(Observer* observer, const Interruption* interruption,
                        const std::function<void()>& after_step = nullptr);

  // A copy of all that the trainer needs to go on from here, equal on all ranks. Local: no rank
  // waits for another. Allowed between steps, and after an exception of run_epoch().
  Snapshot snapshot() const;
  // Goes to where the snapshot was made, by any trainer of the same settings and number of rows.
  // Every rank does it with an equal snapshot; none waits for another, although the ranks of a host
  // may share the pack's memory: call it where all have left their last step, and let nobody start
  // the next one before all are done.
  void adopt(const Snapshot& snapshot);
  // After a lost peer, on the CPU: first the weights leave what the old group shares, then, when
  // all survivors hold the same state, the trainer goes on with them. Every survivor calls join();
  // where it throws comm::PeerLost, both come once more with a still smaller group.
  void leave_group();
  void join(std::shared_ptr<comm::Communicator> survivors);
  comm::Communicator& ranks() const { return *ranks_; }

  // Multiplies the learning rate of a row, whatever its schedule, from now on.
  void set_rate_factor(int64_t row, double factor) { pack_.rows.at(row).rate_factor = factor; }

  // `count` steps, over epochs' ends, without evaluations: for measurements.
  void run_steps(int64_t count);

  // The entropy that a reconstruction in nats cannot go below, by split: where a Bernoulli loss is
  // taken of grey values, for train and selection, if they lie in memory. Counted at the first
  // call.
  const std::map<std::string, double>& recon_floor_nats();

  SplitMetrics evaluate_row(int64_t row, const Split& split, SplitId id);

  const ConditionPlan& condition() const { return condition_; }
  const models::Model& model() const { return *model_; }
  const Optimizer& optimizer() const { return optimizer_; }
  const Pack& pack() const { return pack_; }
  // mu and sigma of the first example of each step of this epoch so far, as trained, equal on all
  // ranks: [steps done, 2, latent], float32; of the whole epoch after its end, until the next
  // begins.
  at::Tensor posterior_trace(int64_t row) const;
  // For a pack that is resumed within an epoch: the trace of the steps that are done.
  void set_posterior_trace(int64_t row, const at::Tensor& done);
  int64_t leaves() const { return leaves_of(settings_.train); }
  int64_t steps_per_epoch() const {
    return (data_.train.examples() + settings_.train.batch_size - 1) / settings_.train.batch_size;
  }

 private:
  at::Tensor initial_weights();
  void make_step();
  const ConditionPlan* condition_or_null() const {
    return condition_.kind == ConditionKind::kNone ? nullptr : &condition_;
  }
  bool out_of_steps() const { return settings_.train.steps > 0 && finished(); }

  Settings settings_;
  const Dataset& data_;
  std::shared_ptr<comm::Communicator> survivors_;  // owned here after a loss
  comm::Communicator* ranks_;
  ThreadTeam& team_;
  ConditionPlan condition_;
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<models::Objective> objective_;
  Optimizer optimizer_;
  double scale_;
  Pack pack_;
  at::Tensor epoch_sums_;     // [K, kMetricSums], float64: of this epoch's steps so far
  double epoch_seconds_ = 0;  // that they took
  std::optional<std::map<std::string, double>> recon_floor_nats_;
  std::optional<at::Tensor> mean_picture_;  // made before the first evaluation
  std::unique_ptr<Step> step_;
  at::Tensor trace_;         // [K, steps per epoch, 2, latent]
  int64_t trace_steps_ = 0;  // filled
  int64_t steps_done_ = 0;
  double seconds_done_ = 0;
};

}  // namespace elbow::trainer
