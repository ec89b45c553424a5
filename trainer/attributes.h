// Attributes of examples: a file of numbers beside the data, one line an example.
#pragma once

#include "trainer/dataset.h"
#include "trainer/settings.h"

namespace elbow::trainer {

// Reads data.train_attributes and data.test_attributes into the splits, where they are given. The
// files are .npy (float32, float64, int64 or bytes) or IDX, [examples] or [examples, attributes];
// numbers stay as they are. The train file has the validation split's lines too. DataError where a
// file does not fit the data, or has a number that is not finite.
void read_attributes(const DataSettings& settings, Dataset& data);

}  // namespace elbow::trainer
