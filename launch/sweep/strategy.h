// Ask and tell: which trial comes next, and whether one that runs goes on. A coordinator tells
// every value of an epoch that it hears of, for all rows of a pack before it asks for the first
// decision: rows that reach a rung together are then compared with each other.
//
// Everything follows from the sequence of calls alone (no clock, no random state), so a strategy is
// rebuilt from a ledger by telling it the same again. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/sweep/ledger_record.h"
#include "launch/sweep/shard.h"
#include "launch/sweep/sweep_settings.h"

namespace elbow::launch::sweep {

enum class Decision { kGoOn, kStop };

class Strategy {
 public:
  virtual ~Strategy() = default;

  // The trial's metric after an epoch (counted from 1) that it has finished. Telling the same epoch
  // again (a retried trial) replaces the value. A value that is not finite counts nowhere, and its
  // trial is to stop.
  virtual void tell(int64_t trial, int64_t epoch, double value) = 0;

  // Whether the trial goes on after the newest epoch that it was told of. The same until the next
  // tell(). Whether it is at its last epoch is the caller's business.
  virtual Decision decide(int64_t trial) const = 0;

  // Why, for a log: "rank 7 of the 12 trials that have reached epoch 3, of which the best 4 go on".
  virtual std::string reason(int64_t trial) const = 0;
};

// none, asha or median.
std::unique_ptr<Strategy> make_strategy(const SweepSettings& settings);

// Tells all that a ledger holds, in the ledger's order.
void tell_all(Strategy& strategy, const LedgerContents& contents);

// The trials of a shard that nobody asked for yet, lowest number first. Each is given once.
class TrialQueue {
 public:
  // trials: of the whole sweep. shape_of: a trial's number in TrialShapes; trials of one shape may
  // share a pack.
  TrialQueue(int64_t trials, const Shard& shard, std::function<int64_t(int64_t trial)> shape_of);

  // Those that a ledger has, whatever became of them, are not asked for again: the ones still
  // RUNNING are the caller's to resume.
  void remove_started(const LedgerContents& contents);

  // Whether a trial may begin yet; one that may not is passed over. Null: all may.
  using Ready = std::function<bool(int64_t trial)>;
  // Of this shape; nothing: none is left, or ready.
  std::optional<int64_t> ask(int64_t shape, const Ready& ready = nullptr);
  // Of the shape with the most trials left, which is what an empty pack does best, or where none of
  // it is ready, of the next one.
  std::optional<int64_t> ask_fullest(const Ready& ready = nullptr);
  int64_t left() const { return left_; }
  int64_t left(int64_t shape) const;

 private:
  std::vector<std::vector<int64_t>> waiting_;  // by shape, highest number first
  int64_t left_ = 0;
};

}  // namespace elbow::launch::sweep
