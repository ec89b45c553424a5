// A small trainer, and checkpoints of it, for tests of the files.
#pragma once

#include <cstdint>

#include "models/parameter_layout.h"
#include "trainer/checkpoint.h"

namespace elbow::tests {

// Names of two linear layers and an optimizer with two states.
const trainer::TensorNames& small_names();

// A checkpoint of `rows` rows whose numbers follow from `seed`; some are NaN, infinite and -0.
trainer::Checkpoint small_checkpoint(int64_t step, int64_t rows = 1, uint64_t seed = 1);

// Whether two checkpoints are the same to the bit.
bool same(const trainer::Checkpoint& a, const trainer::Checkpoint& b);

}  // namespace elbow::tests
