#include "launch/doctor/places.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace elbow::launch::doctor {
namespace {

std::vector<HostRanks> grouped(const std::vector<const RankFacts*>& ranks) {
  std::vector<HostRanks> hosts;
  for (const RankFacts* rank : ranks) {
    auto found = std::ranges::find(hosts, rank->host, &HostRanks::host);
    if (found == hosts.end()) found = hosts.insert(found, {.host = rank->host, .ranks = {}});
    found->ranks.push_back(rank);
  }
  return hosts;
}

}  // namespace

std::vector<HostRanks> by_host(const LaunchFacts& launch) {
  std::vector<const RankFacts*> all;
  for (const auto& rank : launch.ranks) all.push_back(&rank);
  return grouped(all);
}

std::string named(const std::vector<const RankFacts*>& ranks) {
  constexpr size_t kMostHosts = 4;
  std::vector<std::string> parts;
  const auto hosts = grouped(ranks);
  for (const auto& [host, of_host] : hosts) {
    if (parts.size() == kMostHosts) {
      parts.push_back(fmt::format("and {} more hosts", hosts.size() - kMostHosts));
      break;
    }
    std::vector<int> numbers;
    for (const RankFacts* rank : of_host) numbers.push_back(rank->rank);
    parts.push_back(
        fmt::format("rank{} {} on {}", numbers.size() == 1 ? "" : "s", ranges_text(numbers), host));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string ranges_text(const std::vector<int>& numbers) {
  std::vector<std::string> parts;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    const char* between = last == first + 1 ? "," : "-";
    parts.push_back(last == first ? fmt::format("{}", numbers[first])
                                  : fmt::format("{}{}{}", numbers[first], between, numbers[last]));
    first = last + 1;
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

std::string bytes_text(int64_t bytes) {
  constexpr std::array kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  if (unit == 0) return fmt::format("{} bytes", bytes);
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                    : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

}  // namespace elbow::launch::doctor
