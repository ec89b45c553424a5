// A file of images as a split that a trained run can look at.
#pragma once

#include <filesystem>

#include "launch/trained_run.h"
#include "trainer/dataset.h"

namespace elbow::launch {

// The images must have the size that the model was trained on. Throws DataError, and SettingError
// where the model's condition is something that no file of images has.
trainer::Split split_of_file(const TrainedRun& run, const std::filesystem::path& path);

}  // namespace elbow::launch
