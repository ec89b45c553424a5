// The GPUs that this process sees.
#pragma once

#include <string>
#include <vector>

namespace elbow::comm {

// UUIDs ("GPU-…") in the order of this process's device indices; empty if there are none.
std::vector<std::string> gpu_uuids();

// The model of one of them. Throws comm::Error.
std::string gpu_name(int device);

}  // namespace elbow::comm
