// Lets a Coordinator work in a thread of its own on rank 0, which trains as well: takes the letters
// of all leaders, notices groups that died, writes the ledger, sends orders.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "comm/mailbox.h"
#include "launch/cluster/coordinator.h"
#include "launch/cluster/sweep_view.h"

namespace elbow::launch::cluster {

// All must outlive the thread, and nobody else uses the coordinator while it runs.
struct CoordinatorParts {
  Coordinator& coordinator;
  comm::Mailbox& mailbox;
  std::vector<std::vector<int>> ranks_of_group;
  const sweep::SweepConfig& sweep;
  SweepView& view;
};

class CoordinatorThread {
 public:
  explicit CoordinatorThread(CoordinatorParts parts);
  ~CoordinatorThread();  // leaves the groups alone; for when this rank leaves for a fault
  CoordinatorThread(const CoordinatorThread&) = delete;
  CoordinatorThread& operator=(const CoordinatorThread&) = delete;

  // Until every group has left or died. Returns why the coordinator had to give up (a ledger that
  // the disk refuses), "" where it had not.
  std::string join();

 private:
  using Answers = std::vector<std::pair<int64_t, Orders>>;

  void serve();
  bool read_letters();
  bool look_for_the_dead();
  void send(const Answers& answers);
  Answers guarded(const std::function<Answers()>& work, const std::vector<Report>& reports);
  void show();
  bool everybody_left() const;

  CoordinatorParts parts_;
  std::vector<int> leaders_;                   // by group: who wrote last
  std::map<int, std::optional<Report>> held_;  // by rank: read, and not answered yet
  std::set<int> dead_;
  std::set<int64_t> sent_away_;  // groups, after a failure
  std::string failure_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point looked_ = start_;
  std::chrono::steady_clock::time_point shown_{};
  std::atomic<bool> quit_ = false;
  std::thread thread_;  // last
};

}  // namespace elbow::launch::cluster
