// What a sweep shows while it runs: on a terminal a table that is drawn anew, and lines that stay;
// elsewhere lines alone. Rank 0 only; any thread.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "launch/cluster/coordinator.h"
#include "launch/progress_style.h"

namespace elbow::launch::cluster {

// What is known of a sweep at one moment. Pure.
struct SweepMoment {
  SweepStatus status;
  double seconds = 0;           // of this launch
  double measured_seconds = 0;  // of them, when the last epoch was measured
  double epochs_per_trial = 0;  // as configured
  std::string metric;
  std::string best;  // the best trial's values, in words
};

// "trials 12/24 done, 4 running, 1 pruned, 0 failed, 8 waiting; 61,000 examples/s; 3 min left; best
// …"
std::string sweep_line(const SweepMoment& moment);
// The same as a table, with the rows in use of each group, at most so many columns wide.
std::string sweep_table(const SweepMoment& moment, int columns);

class SweepView {
 public:
  explicit SweepView(ProgressStyle style);
  ~SweepView();  // wipes the table

  void note(const std::string& sentence);
  void show(const SweepMoment& moment);  // a line at most twice a minute, a table each time
  void end();                            // the table goes, for the last time

 private:
  void draw(const std::string& before);

  std::mutex mutex_;
  ProgressStyle style_;
  std::string table_;
  int lines_ = 0;  // that stand on the terminal
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace elbow::launch::cluster
