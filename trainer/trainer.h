// Trains the rows of a pack, epoch by epoch, and measures them. Writes no files and knows no
// command line.
//
// Every rank of the group makes the same calls in the same order.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "models/model.h"
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

// The row that a trial's settings describe. observed: pixels of an example.
Row row_of(const Settings& settings, int64_t observed);

// The network that a trial's settings describe.
std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed);

// Leaves of exact mode for these settings; 0 in fast mode.
int64_t leaves_of(const TrainSettings& settings);

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

  // From the pack's position to the end of its epoch, and the evaluation after it. Each may be
  // null; `observer` gets on_step only. after_step: called where the epoch goes on after a step, a
  // place for snapshots. Throws NonFinite and comm::PeerLost, and the pack is then where its last
  // whole step has left it.
  EpochResult run_epoch(Observer* observer, const Interruption* interruption,
                        const std::function<void()>& after_step = nullptr);

  // A copy of all that the trainer needs to go on from here, equal on all ranks. Local: no rank
  // waits for another. Allowed between steps, and after an exception of run_epoch().
  Snapshot snapshot() const;
  // Goes to where the snapshot was made, by any trainer of the same settings and number of rows.
  // Every rank does it with an equal snapshot, before its next step.
  void restore(const Snapshot& snapshot);
  // Goes back to the first weights, with the rows as they were given.
  void restart();

  // Replaces the learning rate of a row.
  void set_learning_rate(int64_t row, double lr) { pack_.rows.at(row).lr = lr; }

  // `count` steps, over epochs' ends, without evaluations: for measurements.
  void run_steps(int64_t count);

  SplitMetrics evaluate_row(int64_t row, const Split& split, SplitId id);

  const models::Model& model() const { return *model_; }
  const Optimizer& optimizer() const { return optimizer_; }
  const Pack& pack() const { return pack_; }
  int64_t leaves() const { return leaves_of(settings_.train); }
  int64_t steps_per_epoch() const { return step_->batches_per_epoch(); }

 private:
  BatchRequest request() const;

  Settings settings_;
  const Dataset& data_;
  comm::Communicator& ranks_;
  ThreadTeam& team_;
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<models::Objective> objective_;
  Optimizer optimizer_;
  double scale_;
  std::vector<Row> first_rows_;
  Pack pack_;
  at::Tensor epoch_sums_;     // [K, kMetricSums], float64: of this epoch's steps so far
  double epoch_seconds_ = 0;  // that they took
  std::unique_ptr<Step> step_;
  int64_t steps_done_ = 0;
  double seconds_done_ = 0;
};

}  // namespace elbow::trainer
