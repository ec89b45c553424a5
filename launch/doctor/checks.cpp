#include "launch/doctor/checks.h"

#include <algorithm>

#include "launch/doctor/places.h"

namespace elbow::launch::doctor {

void check_estimate(const LaunchFacts& launch, Findings& findings) {
  if (launch.estimate_error.empty()) return;
  findings.push_back(
      {.fault = true,
       .check = "configuration",
       .what = launch.estimate_error,
       .where = "all ranks",
       .why = "training would refuse the same way",
       .remedy = "change the configuration, or the launch, as the sentence says; `elbow config` "
                 "shows where each value comes from"});
}

Findings judge(const LaunchFacts& launch) {
  Findings findings;
  for (const auto check : {check_cores, check_gpus, check_versions, check_mpi, check_network,
                           check_limits, check_clocks, check_data, check_folder, check_estimate})
    check(launch, findings);
  std::ranges::stable_partition(findings, &Finding::fault);
  return findings;
}

}  // namespace elbow::launch::doctor
