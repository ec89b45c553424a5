// Ends this process when MPI's start-up hangs: Open MPI waits for ever in MPI_Init for a rank that
// died on the way there, and no heartbeat runs yet.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace elbow::comm {

class StartWatch {
 public:
  // Unless it is destroyed within `patience`, the process says so on stderr and leaves with
  // `exit_code`, without any clean-up.
  StartWatch(std::chrono::milliseconds patience, int exit_code);
  ~StartWatch();
  StartWatch(const StartWatch&) = delete;
  StartWatch& operator=(const StartWatch&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace elbow::comm
