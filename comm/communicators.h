// Makes communicators. Which one to take: `self` for one process, `mpi` for the ranks of a launch
// (mpi_session.h), `nccl` on top of it where every rank has a GPU of its own (device_choice.h),
// `threads` for tests (thread_world.h). The caller owns what is returned and destroys it before the
// session, or world, that it came from.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"

namespace elbow::comm {

// A group of this process alone.
std::unique_ptr<Communicator> make_self();

// The name of the host that this process runs on.
std::string this_host();

}  // namespace elbow::comm
