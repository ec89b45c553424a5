// Ends this process when a call that cannot be interrupted does not return in time. For MPI's start
// and end: Open MPI waits for ever in MPI_Init for a rank that died on the way there, and, now and
// then, in MPI_Finalize for one that died in it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace elbow::comm {

class Deadline {
 public:
  // Unless it is destroyed within `patience`, the process prints the sentence on stderr and leaves
  // with `exit_code`, without any clean-up.
  Deadline(std::chrono::milliseconds patience, int exit_code, std::string sentence);
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable_any ended_;
  std::jthread thread_;  // the last: it ends first
};

}  // namespace elbow::comm
