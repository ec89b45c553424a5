// What a ledger says has happened, as plain values: events, and what they add up to. Pure.
//
// A trial is known by its number in the sweep (TrialPlan::number), which is the same in every
// shard. Optuna numbers the trials of a file in the order in which they began; that number is used
// inside the file alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "launch/sweep/axis.h"

namespace elbow::launch::sweep {

// Optuna's values.
enum class TrialState : int { kRunning = 0, kComplete = 1, kPruned = 2, kFailed = 3, kWaiting = 4 };

bool is_finished(TrialState state);
std::string name_of(TrialState state);  // "running", "complete", "pruned", "failed", "waiting"

using Time = std::chrono::system_clock::time_point;

// Something to remember of a trial, such as a retry's host or a final metric. Numbers must be
// finite.
using Attribute = std::variant<double, std::string>;
using Attributes = std::map<std::string, Attribute>;
// "trial", "values" and "seed", which are the ledger's own.
bool is_reserved(const std::string& attribute);

// How Optuna is to see an axis.
struct AxisRange {
  std::string key;
  AxisScale scale = AxisScale::kCategories;
  bool whole = false;
  double low = 0;
  double high = 0;
  std::vector<std::string> categories{};  // kCategories alone
};
AxisRange range_of(const Axis& axis);

// Where a value lies: the number, or the category's index, as Optuna keeps it. NaN where it is none
// of this axis.
double place_of(const AxisRange& axis, const std::string& value);

// The first lines of a ledger.
struct StudyHead {
  std::string name;
  std::string metric;  // "elbo_nats"
  bool larger_is_better = true;
  std::string fingerprint;  // sweep_fingerprint()
  std::string shard = "1/1";
  std::vector<AxisRange> axes;  // in the order of TrialPlan::values
};

// --- Events --------------------------------------------------------------------------------------

// Written before the trial begins (write-ahead): after a crash it is RUNNING, and is begun or
// resumed again.
struct TrialStarted {
  int64_t trial;
  std::vector<std::string> values;  // one for each axis
  int64_t seed;                     // train.seed
  Time time;
  Attributes attributes{};
};
// After an epoch, counted from 1. A value that is not finite is not written (a ledger never holds a
// NaN); the attribute "nonfinite_epoch" is, instead.
struct EpochReported {
  int64_t trial;
  int64_t epoch;
  double value;
};
struct AttributeSet {
  int64_t trial;
  std::string name;
  Attribute value;
};
// Final: whatever comes after it about the trial is ignored, so attributes come before it.
// kComplete needs a finite value; kPruned and kFailed take one or none.
struct TrialFinished {
  int64_t trial;
  TrialState state;
  std::optional<double> value;
  Time time;
};
using Event = std::variant<TrialStarted, EpochReported, AttributeSet, TrialFinished>;

// --- What they add up to -------------------------------------------------------------------------

struct LedgerTrial {
  int64_t number = 0;
  int64_t journal_id = 0;  // Optuna's number of the trial in this file
  TrialState state = TrialState::kRunning;
  std::vector<std::string> values;  // one for each axis
  int64_t seed = 0;
  std::map<int64_t, double> by_epoch;  // the metric
  std::optional<double> value;         // of a finished trial
  Attributes attributes;
  std::optional<Time> started;
  std::optional<Time> finished;

  int64_t epochs() const { return by_epoch.empty() ? 0 : by_epoch.rbegin()->first; }
  std::optional<double> number_attribute(const std::string& name) const;
  std::string text_attribute(const std::string& name) const;  // "" where it has none
};

struct LedgerContents {
  StudyHead head;
  std::vector<LedgerTrial> trials;   // in the order in which they began
  std::vector<EpochReported> tells;  // in the order in which they were written
  int64_t journal_trials = 0;        // begun in the file, by whomever

  const LedgerTrial* find(int64_t number) const;  // nullptr where there is none
  int64_t count(TrialState state) const;

  // What a ledger holds after this event. Throws std::logic_error where the event cannot be: a
  // trial that began twice or never, or has finished.
  void apply(const Event& event);

 private:
  LedgerTrial& running(int64_t number);
  void apply_one(const TrialStarted& event);
  void apply_one(const EpochReported& event);
  void apply_one(const AttributeSet& event);
  void apply_one(const TrialFinished& event);
  std::map<int64_t, size_t> places_;  // in `trials`, by number
};

}  // namespace elbow::launch::sweep
