// Asynchronous successive halving, in the variant that stops trials instead of pausing them: a row
// that trains in place goes on from where it is, and nothing is loaded back.
//
// Rungs are the epochs min_epochs * reduction^k, k = 0, 1, … A trial that reaches a rung goes on if
// it is among the best max(1, floor(n / reduction)) of the n trials that have reached that rung so
// far, itself included; ties go to the lower trial number. Li et al. 2020, "A system for massively
// parallel hyperparameter tuning" (arXiv:1810.05934), algorithm 2, whose promotions become
// decisions at the rung, as in Klein et al. 2020, "Model-based asynchronous hyperparameter and
// neural architecture search" (arXiv:2003.10865), section 3.1, "stopping".
//
// A trial that has once been told of a later epoch is past a rung, and is not judged there again
// when a retry brings it back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "launch/sweep/strategy.h"

namespace elbow::launch::sweep {

struct AshaSettings {
  int64_t min_epochs = 1;
  int64_t reduction = 3;
  bool larger_is_better = true;
};

class Asha : public Strategy {
 public:
  explicit Asha(const AshaSettings& settings) : settings_(settings) {}

  void tell(int64_t trial, int64_t epoch, double value) override;
  Decision decide(int64_t trial) const override;
  std::string reason(int64_t trial) const override;

 private:
  using Scored = std::pair<double, int64_t>;  // lower is better, then the lower trial number

  struct Told {
    int64_t epoch = 0;  // the newest tell's
    int64_t furthest = 0;
    bool finite = true;
    std::map<int64_t, double> at_rungs;  // score by epoch
  };
  struct Standing {
    int64_t rank = 0;  // from 1
    int64_t among = 0;
    int64_t go_on = 0;
  };

  bool is_rung(int64_t epoch) const;
  Standing standing(int64_t trial, const Told& told) const;

  AshaSettings settings_;
  std::map<int64_t, Told> trials_;
  std::map<int64_t, std::vector<Scored>> rungs_;  // by epoch, sorted
};

}  // namespace elbow::launch::sweep
