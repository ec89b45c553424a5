// Figures as files.
#pragma once

#include <filesystem>
#include <vector>

#include "launch/run_figures.h"

namespace elbow::launch {

// PNG of every figure, SVG of line art, into a folder that is made where it is not there.
// std::system_error where the disk refuses.
void write_figures(const std::filesystem::path& folder, const std::vector<NamedFigure>& figures);

}  // namespace elbow::launch
