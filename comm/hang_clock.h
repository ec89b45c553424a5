// For how long a process has not got on although it could have: what a guard judges its rank by.
// Pure; the guard feeds it at every look.
#pragma once

#include <chrono>
#include <cstdint>

namespace elbow::comm {

// A process between two looks.
struct ProcessSample {
  bool stopped = false;            // by a signal
  bool traced = false;             // a debugger is attached
  bool runnable = false;           // one of its threads has a core, or waits for one
  std::chrono::nanoseconds cpu{};  // time on cores, of all threads, since it began
};

class HangClock {
 public:
  using Time = std::chrono::nanoseconds;

  // longest_look: what is counted at most for one look. More has passed where the guard itself was
  // not run, as on a host that slept or is overloaded, and then its rank was not either.
  HangClock(Time longest_look, bool debugger_may_stop)
      : longest_look_(longest_look), debugger_may_stop_(debugger_may_stop) {}

  // progress, waiting: as the rank has published them. passed: since the last look.
  void look(uint64_t progress, bool waiting, const ProcessSample& process, Time passed);

  // Without progress, while it was stopped, slept, or had a core; not while it wanted one in vain,
  // nor while it waited for other ranks.
  Time stuck() const { return stuck_; }
  // Without progress, waiting for other ranks.
  Time waited() const { return waited_; }

 private:
  Time longest_look_;
  bool debugger_may_stop_;
  uint64_t progress_ = 0;
  Time cpu_{0}, stuck_{0}, waited_{0};
};

}  // namespace elbow::comm
