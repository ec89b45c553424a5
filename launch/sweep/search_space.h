// All trials of a sweep. The number of a trial decides its values and its seed, with sweep.seed as
// the only other input: no state, and the same on every rank and in every shard. Pure.
//
// Trial number t of C configurations is configuration t % C in its repetition t / C, so that all
// configurations come once before any comes again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/sweep/axis.h"
#include "launch/sweep/sweep_settings.h"

namespace elbow::launch::sweep {

struct TrialPlan {
  int64_t number = 0;               // over all shards, from 0
  int64_t configuration = 0;        // trials that differ in their repetition alone share it
  int64_t repeat = 0;               // added to train.seed
  std::vector<std::string> values;  // one for each axis, in the order of axes()
};

class SearchSpace {
 public:
  // `axes` are brought into the order of the setting table. Throws trainer::SettingError where
  // search, trials and axes do not fit together, or there are more than kMostTrials.
  SearchSpace(std::vector<Axis> axes, const SweepSettings& settings);

  static constexpr int64_t kMostTrials = 100'000;

  const std::vector<Axis>& axes() const { return axes_; }
  int64_t configurations() const { return configurations_; }
  int64_t trials() const { return configurations_ * repeats_; }
  TrialPlan trial(int64_t number) const;  // number in [0, trials())

 private:
  void refuse_repeated_lines() const;
  std::vector<std::string> grid_values(int64_t configuration) const;
  std::vector<std::string> drawn_values(int64_t configuration) const;

  std::vector<Axis> axes_;
  std::string search_;
  uint64_t seed_;
  int64_t configurations_ = 1;
  int64_t repeats_ = 1;
};

}  // namespace elbow::launch::sweep
