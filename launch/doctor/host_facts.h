// What this process sees of its host. Reads /proc and /sys; waits for nobody.
#pragma once

#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

CoreFacts core_facts();  // but threads
LimitFacts limit_facts();
NetworkFacts network_facts();

// The most memory that this process has had.
int64_t peak_memory_bytes();

// Names of libraries for fast networks (UCX, libfabric, ...) that this process has loaded.
std::vector<std::string> loaded_transports();

}  // namespace elbow::launch::doctor
