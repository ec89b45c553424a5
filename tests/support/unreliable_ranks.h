// A rank of a ThreadWorld to which things happen at a chosen moment: it dies, or one of its peers
// dies so that an operation succeeds on all ranks but this one, or so that a sum is cut short
// unnoticed, as on a GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/thread_world.h"

namespace elbow::tests {

// When rank `rank` of the world comes to its operation `operation` (from 1; 0: at once) in phase
// `phase` at step `step`, rank `dies` dies: before the operation where it is the same rank, else
// after it, and to `rank` alone it looks as if it had failed.
struct Fault {
  int rank;
  int64_t step;
  std::string phase;
  int operation;
  int dies;
  // Nothing fails: but what the operation before gave is as if a device had ended it only now, with
  // the abort word set first and a partial sum left.
  bool cuts_short = false;
};

// `inner`, of rank `rank` of `world`, with these faults; each happens once, also after shrink().
std::unique_ptr<comm::Communicator> make_unreliable(std::unique_ptr<comm::Communicator> inner,
                                                    comm::ThreadWorld& world, int rank,
                                                    const std::vector<Fault>& faults);

}  // namespace elbow::tests
