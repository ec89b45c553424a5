// Facts and findings as text and as JSON. Pure.
#pragma once

#include <string>

#include "launch/doctor/checks.h"
#include "launch/doctor/facts.h"

namespace elbow::launch::doctor {

// What the launch looks like, then the findings, or that there are none.
std::string report_text(const LaunchFacts& launch, const Findings& findings);

// One object: healthy, findings, ranks, sums, estimate.
std::string report_json(const LaunchFacts& launch, const Findings& findings);

bool any_fault(const Findings& findings);

}  // namespace elbow::launch::doctor
