// Runs a test's body on N ranks that are threads of this process.
//
// Returns when every rank is done. What a rank throws is thrown again here (the lowest rank's
// first, PeerLost only if nothing else was thrown); the other ranks then get PeerLost instead of
// waiting for it. A rank that the test itself lost (comm::RankKilled) just ends.
#pragma once

#include <functional>

#include "comm/communicator.h"
#include "comm/thread_world.h"

namespace elbow::tests {

void spawn_ranks(int size, const std::function<void(comm::Communicator&)>& body,
                 comm::ThreadOptions options = {});

// The body also gets the world, in which it can lose and freeze ranks.
void spawn_ranks(int size, const std::function<void(comm::Communicator&, comm::ThreadWorld&)>& body,
                 comm::ThreadOptions options = {});

}  // namespace elbow::tests
