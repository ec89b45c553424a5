// Parallel coordinates: a vertical line an axis, a curve a trial, coloured by the last axis (the
// metric). Pure.
#pragma once

#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/ticks.h"

namespace elbow::launch::figures {

struct ParallelAxis {
  std::string name;
  std::vector<double> places;  // by trial; not finite: the trial's curve has a gap
  bool logarithmic = false;
  std::vector<std::string> categories{};  // places are their indices; empty: numbers
};

// `best` is the index of the trial that is drawn over the others, −1: none.
Figure parallel_coordinates(const std::vector<ParallelAxis>& axes, int64_t best);

}  // namespace elbow::launch::figures
