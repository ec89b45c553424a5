// What report.html says of a sweep. Pure.
#pragma once

#include <string>
#include <vector>

#include "launch/report_page.h"
#include "launch/run_figures.h"
#include "launch/sweep/sweep_results.h"

namespace elbow::launch::sweep {

// figures: sweep_figures() of the results. links: where each trial's number leads, by trial of the
// results, relative to the page; empty: nowhere. notes: sentences on what could not be read.
ReportPage sweep_page(const SweepResults& results, const std::vector<NamedFigure>& figures,
                      const std::vector<std::string>& links, const std::vector<std::string>& notes);

}  // namespace elbow::launch::sweep
