// Which device each rank of a group computes on, and whether the group moves its tensors with NCCL.
// Decided from what all ranks see, so that every rank comes to the same answer; never by one rank
// alone.
//
// GPUs are told apart by UUID: under CUDA_VISIBLE_DEVICES several ranks may each see "GPU 0" and
// mean different ones.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace elbow::comm {

enum class DeviceRequest { kAuto, kCpu, kCuda };

// What one rank sees.
struct RankDevices {
  std::string host;
  std::vector<std::string> gpu_uuids;  // in the order of the rank's device indices
  std::string reason = {};             // why there are none, if there are none
};

struct Decision {
  std::vector<int> device;  // per rank: its CUDA device index, or -1 for the CPU; the CPU on all
                            // ranks or on none
  bool nccl = false;        // every rank has a GPU of its own, and there is more than one rank
  std::string why;          // one sentence for the log
};

// `ranks`: in rank order. kAuto takes GPUs if every rank sees one. Throws NoDevice, naming the
// rank, if kCuda cannot be.
Decision choose(const std::vector<RankDevices>& ranks, DeviceRequest request);

// Gathers what all ranks see, and chooses. Every rank calls it, with the same request, and gets the
// same answer.
Decision choose_together(Communicator& ranks, DeviceRequest request);

}  // namespace elbow::comm
