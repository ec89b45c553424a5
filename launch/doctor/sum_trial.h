// Measures the ranks together: how fast they sum, and how far their clocks are apart.
#pragma once

#include <c10/core/Device.h>

#include "comm/communicator.h"
#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

// Every rank calls it. Sums of 8 bytes and of 4 MiB on `device`, for about `seconds` in all; times
// are medians on rank 0.
SumFacts measure_sums(comm::Communicator& ranks, at::Device device, double seconds);

// Every rank calls it. This rank's clock against rank 0's, to within the time that a barrier takes.
ClockFacts compare_clocks(comm::Communicator& ranks);

}  // namespace elbow::launch::doctor
