// The median stopping rule: a trial is stopped after epoch e if its best value so far is strictly
// worse than the median, over the other trials that have come to epoch e, of the mean of their
// values at epochs 1 to e. Golovin et al. 2017, "Google Vizier: a service for black-box
// optimization", section 3.2.2, which takes completed trials only; here rows run side by side, so
// all that have come as far count.
//
// No trial is stopped before min_epochs, nor while fewer than startup_trials others have come as
// far.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "launch/sweep/strategy.h"

namespace elbow::launch::sweep {

struct MedianSettings {
  int64_t min_epochs = 1;
  int64_t startup_trials = 5;
  bool larger_is_better = true;
};

class MedianStopping : public Strategy {
 public:
  explicit MedianStopping(const MedianSettings& settings) : settings_(settings) {}

  void tell(int64_t trial, int64_t epoch, double value) override;
  Decision decide(int64_t trial) const override;
  std::string reason(int64_t trial) const override;

 private:
  // Scores: lower is better.
  struct Told {
    int64_t epoch = 0;
    bool finite = true;
    std::map<int64_t, double> scores;    // by epoch
    std::map<int64_t, double> averages;  // of the scores up to an epoch
  };

  double best(const Told& told) const;
  // Of the others' averages; nothing where too few have come as far.
  std::optional<double> median_of_others(const Told& told) const;

  MedianSettings settings_;
  std::map<int64_t, Told> trials_;
  std::map<int64_t, std::vector<double>> averages_;  // by epoch, of all trials, sorted
};

}  // namespace elbow::launch::sweep
