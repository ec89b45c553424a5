// What asks a run to stop: signals, and a time at which it is up. The loop finishes its step, and
// all ranks agree on the next one. A second signal leaves at once.
#pragma once

#include <chrono>
#include <string>

namespace elbow::trainer {

// While it lives, SIGUSR1, SIGUSR2, SIGINT and SIGTERM set the flag. One at a time per process.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  bool requested() const;
  int signal() const;  // which one came first; 0: none

  // From this moment on it is requested; `reason` completes "interrupted by".
  void request_at(std::chrono::system_clock::time_point time, const std::string& reason);
  std::string reason()
      const;  // "signal 12", or of the time that is up; "" where this rank has none

 private:
  std::chrono::system_clock::time_point time_ = std::chrono::system_clock::time_point::max();
  std::string time_reason_;
};

// When a run that began at `start` must stop, and why: after `max_time` seconds (0: never), or
// `margin` seconds before the end of the Slurm job, whose Unix time is in the text (null or
// unreadable: none).
struct Deadline {
  std::chrono::system_clock::time_point time = std::chrono::system_clock::time_point::max();
  std::string reason;
};
Deadline deadline_of(std::chrono::system_clock::time_point start, double max_time, double margin,
                     const char* job_end_time);

}  // namespace elbow::trainer
