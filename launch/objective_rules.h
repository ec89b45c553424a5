// What settings of the model and the objective can hold together.
#pragma once

#include "launch/config.h"

namespace elbow::launch {

// Throws trainer::SettingError: one sentence with both keys, their values and origins, and what to
// do.
void check_objective(const ParsedConfig& config);

}  // namespace elbow::launch
