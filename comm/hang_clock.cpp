#include "comm/hang_clock.h"

#include <algorithm>

namespace elbow::comm {

void HangClock::look(uint64_t progress, bool waiting, const ProcessSample& process, Time passed) {
  const Time on_cores = std::max(process.cpu - cpu_, Time(0));
  cpu_ = process.cpu;
  if (progress != progress_) {
    progress_ = progress;
    stuck_ = waited_ = Time(0);
    return;
  }
  passed = std::min(passed, longest_look_);
  if (process.traced && debugger_may_stop_) return;
  if (process.stopped) {
    stuck_ += passed;
  } else if (waiting) {
    stuck_ = Time(0);
    waited_ += passed;
  } else {
    stuck_ += process.runnable ? std::min(passed, on_cores) : passed;
  }
}

}  // namespace elbow::comm
