// What a run's settings change without saying so: one sentence each, for the head of the report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/settings.h"

namespace elbow::launch {

// observed: pixels of an example. steps: optimizer steps of the whole run.
std::vector<std::string> warnings_of(const trainer::Settings& settings, int64_t observed,
                                     int64_t steps);

}  // namespace elbow::launch
