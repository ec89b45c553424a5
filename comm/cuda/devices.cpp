#include "comm/cuda/devices.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "comm/error.h"

namespace elbow::comm {

std::vector<std::string> gpu_uuids() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // "no device" is an answer here, not an error for the next call
    return {};
  }
  std::vector<std::string> uuids;
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return {};
    std::string uuid = "GPU";
    for (int byte = 0; byte < 16; ++byte) {
      const bool dash = byte == 0 || byte == 4 || byte == 6 || byte == 8 || byte == 10;
      uuid += fmt::format("{}{:02x}", dash ? "-" : "",
                          static_cast<unsigned char>(properties.uuid.bytes[byte]));
    }
    uuids.push_back(uuid);
  }
  return uuids;
}

std::string gpu_name(int device) {
  cudaDeviceProp properties{};
  const auto result = cudaGetDeviceProperties(&properties, device);
  if (result == cudaSuccess) return properties.name;
  throw Error(
      fmt::format("GPU {} cannot be asked for its name: {}", device, cudaGetErrorString(result)));
}

}  // namespace elbow::comm
