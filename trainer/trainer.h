// Trains the rows of a pack, epoch by epoch, and measures them. Writes no files and knows no
// command line.
//
// Every rank of the group makes the same calls in the same order.
#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "models/model.h"
#include "trainer/assembly.h"
#include "trainer/dataset.h"
#include "trainer/evaluation.h"
#include "trainer/interruption.h"
#include "trainer/observer.h"
#include "trainer/pack.h"
#include "trainer/posterior_trace.h"
#include "trainer/settings.h"
#include "trainer/snapshot.h"
#include "trainer/step.h"
#include "trainer/step_times.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

struct EpochResult {
  bool interrupted =
      false;  // the ranks agreed to stop before the epoch's end; the metrics are then empty
  // One a row; those of rows that are not active have no split.
  std::vector<SplitMetrics> train;
  std::vector<SplitMetrics> held_out;  // on Dataset::selection()
  // Of a pack of several rows: what became not finite in this epoch, and is not active any more.
  std::vector<NonFinite> nonfinite;
};

// Who watches the steps of each row; null, or a missing entry: nobody.
struct RowObservers {
  RowObservers(std::nullptr_t) {}
  RowObservers(Observer* of_row_0) : of_rows{of_row_0} {}
  explicit RowObservers(std::vector<Observer*> of_rows) : of_rows(std::move(of_rows)) {}
  std::vector<Observer*> of_rows;
};

// Steps of an epoch, and optimizer steps of a whole run.
int64_t steps_in_epoch(const TrainSettings& train, const Dataset& data);
int64_t steps_of(const TrainSettings& train, int64_t steps_per_epoch);

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
  bool finished() const { return pack_.rows[0].step >= total_steps(); }  // of a pack of one row

  // Puts named weights, in PyTorch's layout, into every row. Throws std::invalid_argument that
  // names the tensor that does not fit.
  void start_from(const std::vector<std::pair<std::string, at::Tensor>>& weights);

  // A pack of several rows: the place of row `row` is taken by the trial of `settings`, which has
  // the pack's shape, from its first step or from a snapshot of one row. Rows join where the others
  // are: at an epoch's beginning, or at the same batch. first_weights: [P], float32, equal on all
  // ranks, instead of the seed's, where `from` is null. Every rank calls it. clear_row: nobody.
  void put_row(int64_t row, const Settings& settings, const Snapshot* from,
               const at::Tensor& first_weights = {});
  void clear_row(int64_t row) { pack_.rows.at(row).active = false; }

  // From the pack's position to the end of its epoch, or of the run, and the evaluation after it.
  // Each may be
  // null; `observers` get on_step only. after_step: called where the epoch goes on after a step, a
  // place for snapshots. Throws NonFinite (Step says when) and comm::PeerLost, and the pack is then
  // where its last whole step has left it.
  EpochResult run_epoch(const RowObservers& observers, const Interruption* interruption,
                        const std::function<void()>& after_step = nullptr);

  // A copy of all that the trainer needs to go on from here, equal on all ranks. Local: no rank
  // waits for another. Allowed between steps, and after an exception of run_epoch().
  Snapshot snapshot() const;
  Snapshot snapshot(int64_t row) const;  // of one row alone
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
  // mu and sigma of the first example of each step of this epoch so far that trace_rule() keeps, as
  // trained, equal on all ranks: [kept, 2, latent], float32; of the whole epoch after its end,
  // until the next begins.
  at::Tensor posterior_trace(int64_t row) const;
  const TraceRule& trace_rule() const { return trace_rule_; }
  // For a pack that is resumed within an epoch: the trace of the steps that are done.
  void set_posterior_trace(int64_t row, const at::Tensor& done);
  int64_t leaves() const { return leaves_of(settings_.train); }
  // Batches of its epoch that a row has done, which are fewer than the pack's where it stopped.
  int64_t batch_of(int64_t row) const {
    const auto& of = pack_.rows.at(row);
    return of.step - of.epoch * steps_per_epoch();
  }
  int64_t steps_per_epoch() const { return steps_in_epoch(settings_.train, data_); }

 private:
  at::Tensor initial_weights();
  void initialise_row(at::Tensor weights, uint64_t seed) const;
  void start_state(int64_t row);
  void set_budget(Row& row, const TrainSettings& train) const;
  void take_row(int64_t row, const RowSnapshot& from);
  RowSnapshot snapshot_of(int64_t row) const;
  void make_step();
  const ConditionPlan* condition_or_null() const {
    return condition_.kind == ConditionKind::kNone ? nullptr : &condition_;
  }
  void watch_stragglers(const RowObservers& observers);

  // Of the present launch, and since observers were last told.
  struct Spell {
    double seconds;
    double recent_seconds;
  };
  bool in_epoch() const;
  bool end_of_step(EpochResult& result);
  StepProgress progress_of(int64_t row, const at::Tensor& recent_sums, const Spell& spell) const;
  void measure(EpochResult& result);
  void end_epoch();

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
  std::optional<at::Tensor> output_bias_;   // made where weights begin with one
  std::unique_ptr<Step> step_;
  StragglerWatch stragglers_;
  TraceRule trace_rule_;
  at::Tensor trace_;         // [K, kept steps of an epoch, 2, latent]
  int64_t trace_steps_ = 0;  // filled
  int64_t steps_done_ = 0;
  double seconds_done_ = 0;
};

}  // namespace elbow::trainer
