// The coordinator's desk: takes the letters of all leaders, notices groups that died, sends orders.
// One turn after another; in which thread, and what time it is, its caller decides.
//
// When all groups have left, each rank says farewell and waits to be dismissed, which it is once
// the sweep's end is written: whoever takes over sees by that whether there is anybody to wait for.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "comm/mailbox.h"
#include "launch/cluster/coordinator.h"

namespace elbow::launch::cluster {

// All must outlive the desk, and nobody else uses the coordinator meanwhile.
struct DeskParts {
  Coordinator& coordinator;
  comm::Mailbox& mailbox;
  std::vector<std::vector<int>> ranks_of_group;
};

class CoordinatorDesk {
 public:
  using Clock = std::chrono::steady_clock;

  explicit CoordinatorDesk(DeskParts parts);

  // How long to rest after each turn: letters gather meanwhile, and with many ranks a look into all
  // their boxes costs something itself.
  std::chrono::microseconds pause() const;

  // Whether a letter was read, or a group found dead. wall: for the ledger.
  bool turn(Clock::time_point now, sweep::Time wall);

  bool everybody_left() const;
  // Every rank that lives has said farewell. To be dismissed, now and later: dismiss().
  bool everybody_said_farewell() const;
  void dismiss();
  // Why the coordinator had to give up (a ledger that the disk refuses), "" where it had not.
  const std::string& failure() const { return failure_; }

 private:
  using Answers = std::vector<std::pair<int64_t, Orders>>;

  bool read_letters(sweep::Time wall);
  void take_farewell(int rank, int64_t group, sweep::Time wall);
  void dismiss(int rank);
  bool look_for_the_dead(Clock::time_point now, sweep::Time wall);
  void send(const Answers& answers);
  Answers guarded(const std::function<Answers()>& work, const std::vector<Report>& reports);

  DeskParts parts_;
  std::vector<int> leaders_;                   // by group: who wrote last
  std::map<int, std::optional<Report>> held_;  // by rank: read, and not answered yet
  std::set<int> dead_;
  std::set<int> farewells_;  // ranks
  bool dismissing_ = false;
  std::set<int64_t> sent_away_;  // groups, after a failure
  std::string failure_;
  std::optional<Clock::time_point> looked_;
};

}  // namespace elbow::launch::cluster
