// Makes communicators. Which one to take: `self` for one process, `mpi` for the ranks of a launch
// (mpi_session.h), `nccl` on top of it where every rank has a GPU of its own (device_choice.h),
// `threads` for tests (thread_world.h). The caller owns what is returned and destroys it before the
// session, or world, that it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace elbow::comm {

class MpiSession;

// A group of this process alone.
std::unique_ptr<Communicator> make_self();

struct MpiOptions {
  int64_t chunk_bytes = int64_t{1} << 30;  // the most that goes into one MPI call; below 2^31
};

// The group of all ranks of the launch. Every rank calls it. CUDA tensors travel through the host.
std::unique_ptr<Communicator> make_mpi(MpiSession& session, MpiOptions options = {});

// The name of the host that this process runs on.
std::string this_host();

}  // namespace elbow::comm
