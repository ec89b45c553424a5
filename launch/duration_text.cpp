#include "launch/duration_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace elbow::launch {

std::string duration_text(double seconds) {
  constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86400;
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (whole < 2 * kMinute) return fmt::format("{} s", whole);
  if (whole < kHour) return fmt::format("{} min", (whole + kMinute / 2) / kMinute);
  if (whole < 2 * kDay)
    return fmt::format("{} h {:02} min", whole / kHour, whole % kHour / kMinute);
  return fmt::format("{} days {} h", whole / kDay, whole % kDay / kHour);
}

std::string clock_text(double seconds) {
  constexpr double kLongest = 3600.0 * 9999;
  if (!(seconds >= 0)) return "?";
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, kLongest)));
  const int64_t hours = whole / 3600;
  const int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace elbow::launch
