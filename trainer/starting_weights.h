// The weights of another run as a starting point.
#pragma once

#include <filesystem>

#include "trainer/weights_file.h"

namespace elbow::trainer {

// `from`: a run's folder, whose newest weights are taken, or a safetensors file. Throws
// SettingError where there are none, and DataError where the file is damaged.
WeightsFile read_starting_weights(const std::filesystem::path& from);

}  // namespace elbow::trainer
