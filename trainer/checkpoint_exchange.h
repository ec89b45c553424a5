// A checkpoint goes from one rank to all: after rank 0 has read it from disk, or from a rank that
// holds the newest state.
#pragma once

#include <string>

#include "comm/communicator.h"
#include "trainer/checkpoint.h"

namespace elbow::trainer {

// Every rank of the group calls it; those that are not `root` get a copy of root's. Throws
// comm::PeerLost.
void broadcast(comm::Communicator& ranks, Checkpoint& checkpoint, int root,
               const TensorNames& names);

}  // namespace elbow::trainer
