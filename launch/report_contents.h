// What a report says of one run, or of several side by side. Pure.
#pragma once

#include <string>
#include <vector>

#include "launch/report_page.h"
#include "launch/run_figures.h"
#include "launch/run_material.h"

namespace elbow::launch {

// The figures of each run, in the order of `runs`, are run_figures() of it.
ReportPage report_of(const std::vector<RunMaterial>& runs,
                     const std::vector<std::vector<NamedFigure>>& figures);

// The same numbers for programs: a JSON object by run.
std::string numbers_json(const std::vector<RunMaterial>& runs);

}  // namespace elbow::launch
