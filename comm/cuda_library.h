// The part of elbow that needs CUDA and NCCL: libelbow_cuda.so, opened at run time and only where
// an NVIDIA driver is, so that one program runs everywhere and a start without a GPU does not load
// CUDA's libraries.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace elbow::comm {

struct GpuMemory {
  int64_t bytes = 0;
  int64_t free_bytes = 0;
};

// What the library offers to this layer.
struct CudaFunctions {
  // UUIDs of the GPUs that this process sees, in the order of its device indices.
  std::vector<std::string> (*gpu_uuids)();

  // The model of GPU `device`, such as "NVIDIA H100 80GB HBM3".
  std::string (*gpu_name)(int device);

  // Of all processes together. Throws comm::Error.
  GpuMemory (*gpu_memory)(int device);

  // Of the libraries that are loaded: "cuda", "cudnn" and "nccl", such as "13.0".
  std::map<std::string, std::string> (*versions)();

  // A group that moves CUDA tensors of device `device` with NCCL, and CPU tensors and all control
  // with `control`. Every rank of `control` calls it; all get the group or all get comm::Error. No
  // two ranks may share a GPU.
  std::unique_ptr<Communicator> (*make_nccl)(std::unique_ptr<Communicator> control, int device);
};

struct CudaLibrary {
  const CudaFunctions* functions = nullptr;  // nullptr: there is no GPU to be used
  std::string reason;                        // then: why, one sentence
};

// Opened at the first call and kept. Any thread.
const CudaLibrary& cuda_library();

// Opens the library at `file`, driver or no driver. For tests; programs use cuda_library().
CudaLibrary open_cuda_library(const std::filesystem::path& file);

// Where the library lies: beside the program, or one folder up (programs of the tests). Empty if it
// is in neither.
std::filesystem::path find_cuda_library();

}  // namespace elbow::comm
