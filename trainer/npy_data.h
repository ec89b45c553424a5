// A data set of NumPy files: images, and labels where there are any, of training and of test.
#pragma once

#include "trainer/dataset.h"
#include "trainer/settings.h"

namespace elbow::trainer {

// Reads data.train_images, test_images, train_labels and test_labels. DataError for files,
// SettingError for validation.
Dataset load_npy(const DataSettings& settings);

}  // namespace elbow::trainer
