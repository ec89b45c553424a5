// The GPUs that this process sees, and the libraries that use them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "comm/cuda_library.h"

namespace elbow::comm {

// UUIDs ("GPU-…") in the order of this process's device indices; empty if there are none.
std::vector<std::string> gpu_uuids();

// The model of one of them. Throws comm::Error.
std::string gpu_name(int device);

// As CudaFunctions says.
GpuMemory gpu_memory(int device);
std::map<std::string, std::string> cuda_versions();

}  // namespace elbow::comm
