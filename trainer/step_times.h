// How long each rank's own part of a step takes, waits for others not counted, and who slows the
// group down. Pure; times come from Step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace elbow::trainer {

// A rank's own parts of some steps.
struct StepTimes {
  double seconds = 0;   // all of them
  double examples = 0;  // that they were of
  double median_s = 0;  // of one part
  double slow_s = 0;    // nine in ten took less
};

// Collects them on one rank.
class StepClock {
 public:
  void add(double seconds, int64_t examples);
  StepTimes take();  // what came since the last call, if that is not too much

 private:
  std::vector<double> seconds_;
  double examples_ = 0;
};

// Compares the ranks of a group. An example's time counts, because ranks may have unequal shares.
class StragglerWatch {
 public:
  // factor: how many times as long as the others' median is slow; 0: never. Looked at after a rank
  // has worked for at_least_s, because short times say little.
  StragglerWatch(double factor, double at_least_s) : factor_(factor), at_least_s_(at_least_s) {}

  // times: one entry a rank, of the steps since the last call; hosts: their names. Returns a
  // sentence when a rank has become slow; none while it stays so.
  std::optional<std::string> look(const std::vector<StepTimes>& times,
                                  const std::vector<std::string>& hosts);

 private:
  double factor_, at_least_s_;
  std::vector<StepTimes> sums_;
  int told_ = -1;
};

}  // namespace elbow::trainer
