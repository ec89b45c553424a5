#include "comm/cuda/devices.h"

#include <c10/core/DeviceGuard.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nccl.h>

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

GpuMemory gpu_memory(int device) {
  const c10::DeviceGuard guard(
      c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device)));
  size_t free = 0, total = 0;
  const auto result = cudaMemGetInfo(&free, &total);
  if (result != cudaSuccess) {
    throw Error(fmt::format("GPU {} cannot be asked for its memory: {}", device,
                            cudaGetErrorString(result)));
  }
  return {.bytes = static_cast<int64_t>(total), .free_bytes = static_cast<int64_t>(free)};
}

std::map<std::string, std::string> cuda_versions() {
  std::map<std::string, std::string> versions;
  int number = 0;
  if (cudaRuntimeGetVersion(&number) == cudaSuccess)
    versions["cuda"] = fmt::format("{}.{}", number / 1000, number % 1000 / 10);
  if (ncclGetVersion(&number) == ncclSuccess)
    versions["nccl"] = fmt::format("{}.{}.{}", number / 10000, number % 10000 / 100, number % 100);
  // LibTorch has opened it, whose headers are not ours to include.
  using CudnnVersion = size_t (*)();
  if (const auto cudnn = reinterpret_cast<CudnnVersion>(dlsym(RTLD_DEFAULT, "cudnnGetVersion"))) {
    const size_t version = cudnn();
    versions["cudnn"] =
        fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
  }
  return versions;
}

}  // namespace elbow::comm
