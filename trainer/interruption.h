// Signals that ask a run to stop: the handler sets a flag, the loop finishes its step, and all
// ranks agree on the next one. A second signal leaves at once.
#pragma once

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
};

}  // namespace elbow::trainer
