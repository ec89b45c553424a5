// Ranks and hosts as findings name them.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

// The ranks of one host, in their order.
struct HostRanks {
  std::string host;
  std::vector<const RankFacts*> ranks;
};

// By host, in the order of their lowest ranks. `launch` must outlive the result.
std::vector<HostRanks> by_host(const LaunchFacts& launch);

// "rank 3 on a", "ranks 0, 1 on a", "ranks 0, 1 on a; rank 4 on b", with long lists cut short.
std::string named(const std::vector<const RankFacts*>& ranks);

// "0-3,8"
std::string ranges_text(const std::vector<int>& numbers);

// "512 MiB", "1.5 GiB"
std::string bytes_text(int64_t bytes);

}  // namespace elbow::launch::doctor
