// Who coordinates a sweep: the lowest rank that is not known to be dead. As the dead stay dead, all
// come to agree on it, and nobody takes over from a living one.
#pragma once

#include <cstdint>

#include "comm/communicator.h"
#include "comm/mailbox.h"

namespace elbow::launch::cluster {

// As far as this rank knows.
int in_charge(comm::Mailbox& mailbox);

// Every rank calls it once its group has been sent away; `world` is all of them. Returns when the
// one in charge has written the sweep's end, for which all others must have come.
void say_farewell(comm::Mailbox& mailbox, comm::Communicator& world, int64_t group);

}  // namespace elbow::launch::cluster
