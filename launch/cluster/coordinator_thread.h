// Lets a Coordinator work at its desk in a thread of its own on rank 0, which trains as well, and
// shows how the sweep goes.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "comm/mailbox.h"
#include "launch/cluster/coordinator.h"
#include "launch/cluster/coordinator_desk.h"
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
  void serve();
  void show();

  CoordinatorParts parts_;
  CoordinatorDesk desk_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_{};
  std::atomic<bool> quit_ = false;
  std::thread thread_;  // last
};

}  // namespace elbow::launch::cluster
