// Hands the trials of a sweep to groups, and writes down in the ledger what they tell. Knows no
// ranks, threads, clock or files but the ledger: reports come in, orders go out.
//
// A group that has nothing to do gets its answer when there is something, or when the sweep is
// over. Whatever a group does not name as running any more, without saying how it ended, was lost
// with some rank of it, and is handed out again.
//
// Trials that a ledger has as RUNNING are handed out first, to go on from their checkpoints. Where
// this coordinator takes over from one that died, some of them are still being trained: they are
// handed out when every group has said, once, what it trains, and has not named them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launch/cluster/messages.h"
#include "launch/sweep/ledger.h"
#include "launch/sweep/shape_key.h"
#include "launch/sweep/shard.h"
#include "launch/sweep/strategy.h"
#include "launch/sweep/sweep_config.h"
#include "launch/sweep/warm_starts.h"

namespace elbow::launch::cluster {

struct SweepStatus {
  int64_t trials = 0;  // of this shard
  int64_t complete = 0, pruned = 0, failed = 0, running = 0;
  int64_t waiting() const { return trials - complete - pruned - failed - running; }
  bool finished() const { return complete + pruned + failed == trials; }

  int64_t epochs = 0;           // measured by this launch
  std::optional<int64_t> best;  // of the complete and running trials: by its newest value
  double best_value = 0;
  struct GroupStatus {
    int64_t rows = 0, running = 0;
    double examples_per_s = 0;
    bool left = false;
  };
  std::vector<GroupStatus> groups;
};

// How a coordinator finds the groups.
enum class Beginning {
  kLaunch,    // none has a trial
  kTakeover,  // they train what an earlier coordinator of this launch has told them to
};

class Coordinator {
 public:
  // hosts: of each group's first rank. The references must outlive it.
  Coordinator(const sweep::SweepConfig& sweep, sweep::Ledger& ledger, const sweep::Shard& shard,
              std::vector<std::string> hosts, Beginning beginning = Beginning::kLaunch);
  ~Coordinator();

  // Answers, by group: to these reports, and to earlier ones that had to wait. At most one report
  // of a group. Throws std::system_error where the ledger cannot be written.
  std::vector<std::pair<int64_t, Orders>> answer(const std::vector<Report>& reports,
                                                 sweep::Time now);

  // All ranks of a group are dead. Its trials go to others. Answers as above.
  std::vector<std::pair<int64_t, Orders>> lose(int64_t group, sweep::Time now);
  // A group has left, as some coordinator has told it to. Answers as above.
  std::vector<std::pair<int64_t, Orders>> let_go(int64_t group, sweep::Time now);

  // From now on groups are sent away as they report. The first reason holds.
  void stop(const std::string& reason);
  const std::string& stopped() const { return stopped_; }

  bool everybody_left() const;
  // Groups whose reports have no answer yet, with the reports' numbers.
  std::vector<std::pair<int64_t, int64_t>> who_waits() const;
  SweepStatus status() const;
  int exit_code() const;
  // What happened since the last call, for people.
  std::vector<std::string> take_notes();

 private:
  struct Group;
  struct Trial;

  void claim(Group& group, const Report& report);
  void give_back_unclaimed();
  void take_news(Group& group, const Report& report, sweep::Time now,
                 std::vector<sweep::Event>& events);
  void take_epoch(Group& group, const RowNews& news, std::vector<sweep::Event>& events);
  void end_trial(int64_t trial, const RowNews& news, sweep::Time now,
                 std::vector<sweep::Event>& events);
  void give_back(int64_t trial, int64_t group);
  void empty(Group& group);
  void count_broken(Group& group);
  bool try_again(int64_t trial, const RowNews& news, int64_t group,
                 std::vector<sweep::Event>& events);
  std::vector<std::pair<int64_t, Orders>> orders_for_waiting(sweep::Time now,
                                                             std::vector<sweep::Event> events);
  void answered(Group& group, const Orders& orders);
  Orders orders_for(Group& group, sweep::Time now, std::vector<sweep::Event>& events);
  void fill(Group& group, Orders& orders, sweep::Time now, std::vector<sweep::Event>& events);
  std::optional<int64_t> take_next(Group& group);
  TrialStart start_of(int64_t trial, const Group& group, sweep::Time now,
                      std::vector<sweep::Event>& events);
  void note(const std::string& sentence) { notes_.push_back(sentence); }
  std::string name_of(int64_t trial) const;

  const sweep::SweepConfig& sweep_;
  sweep::Ledger& ledger_;
  sweep::Shard shard_;
  sweep::TrialShapes shapes_;
  sweep::WarmStarts warm_starts_;
  std::unique_ptr<sweep::Strategy> strategy_;
  sweep::TrialQueue queue_;
  std::vector<Group> groups_;
  std::set<int64_t> waiting_;     // groups whose reports have no answer yet
  int64_t able_groups_ = 0;       // that are there and not set aside; for the orders being made
  int64_t open_ = 0;              // trials of this shard that have not ended
  std::deque<int64_t> returned_;  // to be gone on with
  std::set<int64_t> unclaimed_;   // that a group may be training, after a takeover
  std::map<std::string, int64_t> broken_on_host_;  // trials in a row
  std::map<int64_t, Trial> trials_;                // that this launch knows more of than the ledger
  std::string stopped_;
  int64_t epochs_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace elbow::launch::cluster
