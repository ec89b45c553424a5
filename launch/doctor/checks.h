// What is wrong with a launch, judged from its facts alone. Pure: each check is a function of the
// facts, adds its findings, and adds none where nothing is wrong.
#pragma once

#include <string>
#include <vector>

#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

struct Finding {
  bool fault;         // else advice: it works, but not as well as it could
  std::string check;  // "cores", "gpus", ...: what it is about
  std::string what;   // each of these one sentence, without a full stop
  std::string where;  // ranks and hosts
  std::string why;    // it matters
  std::string remedy;
};

using Findings = std::vector<Finding>;

void check_cores(const LaunchFacts& launch, Findings& findings);
void check_gpus(const LaunchFacts& launch, Findings& findings);
void check_versions(const LaunchFacts& launch, Findings& findings);
void check_mpi(const LaunchFacts& launch, Findings& findings);
void check_network(const LaunchFacts& launch, Findings& findings);
void check_limits(const LaunchFacts& launch, Findings& findings);
void check_clocks(const LaunchFacts& launch, Findings& findings);
void check_data(const LaunchFacts& launch, Findings& findings);
void check_folder(const LaunchFacts& launch, Findings& findings);
void check_estimate(const LaunchFacts& launch, Findings& findings);

// All of them: faults first, in the order above.
Findings judge(const LaunchFacts& launch);

}  // namespace elbow::launch::doctor
