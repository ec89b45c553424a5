// The NCCL backend. Reached through cuda_library.h; internal to libelbow_cuda.so.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace elbow::comm {

std::unique_ptr<Communicator> make_nccl(std::unique_ptr<Communicator> control, int device);

}  // namespace elbow::comm
