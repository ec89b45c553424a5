// Lets a Coordinator work at its desk in a thread of its own, beside the training, and shows how
// the sweep goes. Every rank has one: that of rank 0 works at once, those of the others when all
// lower ranks are dead.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/mailbox.h"
#include "launch/cluster/coordinator.h"
#include "launch/cluster/coordinator_desk.h"
#include "launch/cluster/sweep_view.h"

namespace elbow::launch::cluster {

// All must outlive the thread. The functions are called in it.
struct CoordinatorParts {
  comm::Mailbox& mailbox;
  std::vector<std::vector<int>> ranks_of_group;
  const sweep::SweepConfig& sweep;
  SweepView& view;

  // This rank is in charge from now on. The coordinator must outlive the thread, and nobody else
  // uses it. What it throws ends the whole launch (give_up).
  std::function<Coordinator&()> take_office;
  // Whether an earlier one in charge has written the launch's end already.
  std::function<bool()> end_is_written;
  // All ranks have left: the launch's end is to be written. failure: why the coordinator had to
  // give up (a ledger that the disk refuses), "" where it had not. Gives the exit code; may throw.
  std::function<int(const std::string& failure)> write_end;
  std::function<void(const std::exception& error)> give_up;  // does not return
};

class CoordinatorThread {
 public:
  explicit CoordinatorThread(CoordinatorParts parts);
  ~CoordinatorThread();  // leaves the groups alone
  CoordinatorThread(const CoordinatorThread&) = delete;
  CoordinatorThread& operator=(const CoordinatorThread&) = delete;

  // When all ranks have been dismissed. The exit code, where this rank wrote the end.
  std::optional<int> end();

 private:
  void serve();
  bool wait_for_office();
  void work(Coordinator& coordinator);
  void write_end(CoordinatorDesk& desk);
  void show(const Coordinator& coordinator);

  CoordinatorParts parts_;
  std::chrono::steady_clock::time_point start_{};
  std::chrono::steady_clock::time_point shown_{};
  int64_t measured_ = 0;  // epochs
  double measured_seconds_ = 0;
  bool ended_ = false;  // the launch's end is written
  std::optional<int> exit_code_;
  std::atomic<bool> quit_ = false;
  std::thread thread_;  // last
};

}  // namespace elbow::launch::cluster
