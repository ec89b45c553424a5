// A clock that jumps from event to event, in seconds from 0. Events at the same time happen in the
// order in which they were planned. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace elbow::launch::simulation {

class VirtualTime {
 public:
  using Event = std::function<void()>;

  double now() const { return now_; }
  void plan(double time, Event event) {
    events_.emplace(std::max(time, now_), std::move(event));  // behind its equals
  }
  std::optional<double> next() const {
    return events_.empty() ? std::nullopt : std::optional(events_.begin()->first);
  }

  // What is planned up to `time`, what that plans included; then it is `time`.
  void advance_to(double time) {
    while (!events_.empty() && events_.begin()->first <= time) {
      auto first = events_.extract(events_.begin());
      now_ = first.key();
      first.mapped()();
    }
    now_ = time;
  }

 private:
  double now_ = 0;
  std::multimap<double, Event> events_;
};

}  // namespace elbow::launch::simulation
