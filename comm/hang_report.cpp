#include "comm/hang_report.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

namespace elbow::comm {

std::string hang_report(const std::vector<Beat>& beats, int culprit, const std::string& host,
                        std::chrono::nanoseconds stuck) {
  std::string text;
  std::map<std::tuple<bool, int64_t, std::string>, int> others;
  for (const Beat& beat : beats) {
    if (beat.rank != culprit) {
      ++others[{!beat.waiting, beat.step, beat.phase}];
      continue;
    }
    text = fmt::format("rank {} on {} is in '{}' at step {} for {:.0f} s", beat.rank, host,
                       beat.phase, beat.step, std::chrono::duration<double>(stuck).count());
  }
  for (const auto& [state, count] : others) {
    const auto& [busy, step, phase] = state;
    const char* verb = busy ? (count == 1 ? "is" : "are") : (count == 1 ? "waits" : "wait");
    text += fmt::format("; {} other{} {} in '{}' at step {}", count, count == 1 ? "" : "s", verb,
                        phase, step);
  }
  return text;
}

}  // namespace elbow::comm
