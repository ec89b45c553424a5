// The door of libelbow_cuda.so: the one symbol that cuda_library.cpp looks up.
#include "comm/cuda/devices.h"
#include "comm/cuda/nccl_communicator.h"
#include "comm/cuda_library.h"

extern "C" const elbow::comm::CudaFunctions* elbow_comm_cuda_functions() {
  static const elbow::comm::CudaFunctions functions = {
      .gpu_uuids = elbow::comm::gpu_uuids,
      .gpu_name = elbow::comm::gpu_name,
      .gpu_memory = elbow::comm::gpu_memory,
      .versions = elbow::comm::cuda_versions,
      .make_nccl = elbow::comm::make_nccl,
  };
  return &functions;
}
