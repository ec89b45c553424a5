// The GPU that tests train on, or why there is none. Every test of this folder asks before it makes
// its first tensor: LibTorch settles what CUDA is when it first needs it.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "comm/cuda_library.h"

namespace elbow::tests {

inline const at::Device kGpu{at::kCUDA, 0};

// "" where there is a GPU.
inline std::string why_no_gpu() {
  const auto& library = comm::cuda_library();
  if (library.functions == nullptr) return library.reason;
  return library.functions->gpu_uuids().empty() ? "the driver shows no GPU" : "";
}

}  // namespace elbow::tests
