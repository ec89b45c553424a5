// A group of ranks that trains one pack after another, as the coordinator orders. Its lowest rank
// is the leader: it talks to the coordinator and keeps the folders of the trials; all train.
//
// Where a rank of the group is lost, the others form a smaller group, forget their pack, and ask
// for trials again: those that it had go on from their last checkpoints, here or elsewhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/mailbox.h"
#include "launch/cluster/sweep_directory.h"
#include "launch/devices.h"
#include "launch/sweep/sweep_config.h"
#include "trainer/dataset.h"
#include "trainer/interruption.h"
#include "trainer/thread_team.h"

namespace elbow::launch::cluster {

// All must outlive the group.
struct GroupParts {
  const sweep::SweepConfig& sweep;
  const SweepDirectory& directory;
  const std::vector<std::string>& arguments;  // of this launch
  comm::Mailbox& mailbox;
  const Devices& devices;
  const std::string& device_name;  // of this rank
  trainer::ThreadTeam& team;
  const trainer::Interruption& interruption;
  int64_t group;             // its number
  int64_t trials_per_group;  // no pack needs more rows
  std::function<void(const std::string&)> tell;
  std::function<void(const std::string&)> log;  // of this rank: what it does
};

// Every rank of the group calls it, with the group's ranks and the data of the sweep's base
// configuration. Returns the exit code of the sweep when the coordinator sends the group away.
// Throws trainer::Unfinished where a lost rank cannot be survived.
int run_group(const GroupParts& parts, std::shared_ptr<comm::Communicator> ranks,
              trainer::Dataset data);

}  // namespace elbow::launch::cluster
