// A small data set of random bytes for tests of the trainer.
#pragma once

#include "trainer/dataset.h"

namespace elbow::tests {

// height x width images; the bytes depend on `seed` alone.
trainer::Dataset small_data(int64_t train, int64_t test, int64_t height, int64_t width,
                            uint64_t seed = 1);

}  // namespace elbow::tests
