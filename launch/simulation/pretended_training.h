// Groups whose leaders talk as real ones do (launch/cluster/group.cpp), and whose epochs only take
// time; with the folders of the trials, which outlive groups.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launch/cluster/messages.h"
#include "launch/simulation/pretended_mailbox.h"
#include "launch/simulation/simulation.h"
#include "launch/simulation/virtual_time.h"

namespace elbow::launch::simulation {

// A share in [0, 1) that follows from the seed: of what, and which one.
enum class Chance : int64_t {
  kStraggler,
  kDeath,
  kWhen,
  kLetters,
  kEpoch,
  kBreak,
  kDiverge,
  kValue
};
double share_of(uint64_t seed, Chance chance, int64_t index);

// What is on the disk of a trial.
struct TrialFolder {
  int64_t epochs = 0;  // as configured
  int64_t epochs_done = 0;
  int64_t attempts = 0;  // epochs begun
  std::optional<cluster::RowEnd> end{};
  std::optional<double> begun_s{};
  int64_t holders = 0;  // groups that have it now
};

struct Cluster {
  const SimulationSettings& settings;
  VirtualTime& time;
  PretendedMailbox& mailbox;
  std::vector<TrialFolder> trials;
  int64_t completed_twice = 0, trained_at_once = 0;
};

class PretendedGroup {
 public:
  // A stretch of time in which the group trained; useful: the share of its rows whose epoch counts.
  struct Work {
    double begin_s, end_s, useful;
  };

  PretendedGroup(Cluster& cluster, int64_t number);

  void report();  // and wait for orders
  void take(const std::string& letter);
  void report_again();  // if it waits: another coordinator is in charge
  void die();

  double slowness() const { return slowness_; }
  std::optional<double> died_s() const { return died_s_; }
  const std::vector<Work>& work() const { return work_; }

 private:
  void open(const cluster::TrialStart& start);
  void close(int64_t trial, cluster::RowNews news);
  void train();
  void end_epoch();
  double end_epoch_of(int64_t trial);

  Cluster& cluster_;
  int64_t number_;
  double slowness_;
  std::set<int64_t> rows_;
  std::vector<cluster::RowNews> news_;
  int64_t reports_ = 0, epochs_ = 0;
  bool waiting_ = false;
  std::optional<double> training_since_s_, died_s_;
  std::vector<Work> work_;
};

}  // namespace elbow::launch::simulation
