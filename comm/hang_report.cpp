#include "comm/hang_report.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

namespace elbow::comm {

namespace {

// Ranks in the same state, counted; those that wait first.
using States = std::map<std::tuple<bool, int64_t, std::string>, int>;

std::string describe(const States& states, const char* noun, const char* separator) {
  std::string text;
  for (const auto& [state, count] : states) {
    const auto& [busy, step, phase] = state;
    const char* verb = busy ? (count == 1 ? "is" : "are") : (count == 1 ? "waits" : "wait");
    text += fmt::format("{}{} {}{} {} in '{}' at step {}", text.empty() ? "" : separator, count,
                        noun, count == 1 ? "" : "s", verb, phase, step);
  }
  return text;
}

}  // namespace

std::string hang_report(const std::vector<Beat>& beats, int culprit, const std::string& host,
                        std::chrono::nanoseconds stuck) {
  std::string text;
  States others;
  for (const Beat& beat : beats) {
    if (beat.rank != culprit) {
      ++others[{!beat.waiting, beat.step, beat.phase}];
      continue;
    }
    text = fmt::format("rank {} on {} is in '{}' at step {} for {:.0f} s", beat.rank, host,
                       beat.phase, beat.step, std::chrono::duration<double>(stuck).count());
  }
  const auto rest = describe(others, "other", "; ");
  return rest.empty() ? text : text + "; " + rest;
}

std::string host_report(const std::vector<Beat>& beats, const std::string& host) {
  States states;
  for (const Beat& beat : beats) ++states[{!beat.waiting, beat.step, beat.phase}];
  return fmt::format("on {} {}", host, describe(states, "rank", ", "));
}

}  // namespace elbow::comm
