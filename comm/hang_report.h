// The sentences about a rank that does not get on. Pure.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comm/heartbeat.h"

namespace elbow::comm {

// "rank 2 on node07 is in 'evaluation' at step 812 for 31 s; 3 others wait in 'gradient sum' at
// step 813". beats: of the ranks on `host`, the culprit included. stuck: for how long.
std::string hang_report(const std::vector<Beat>& beats, int culprit, const std::string& host,
                        std::chrono::nanoseconds stuck);

// "on node08 4 ranks wait in 'gradient sum' at step 813": what another host's guards add to it.
std::string host_report(const std::vector<Beat>& beats, const std::string& host);

}  // namespace elbow::comm
