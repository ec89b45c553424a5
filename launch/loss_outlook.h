// What the loss of a rank or of a host will mean for a launch. Pure.
#pragma once

#include <string>
#include <vector>

#include "trainer/run_files.h"

namespace elbow::launch {

struct Outlook {
  std::vector<trainer::RankPlace> ranks;
  bool heals = false;        // the death of a peer becomes PeerLost
  bool heals_hosts = false;  // that of a host too
  bool sweep = false;
};

// One line; "" for a single rank, which loses itself.
std::string loss_outlook(const Outlook& launch);

}  // namespace elbow::launch
