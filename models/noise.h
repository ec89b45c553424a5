// Standard normal noise for whole batches, keyed by what it is for (philox.h), so that no rank,
// pack or resume can change a draw.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "models/philox.h"

namespace elbow::models {

struct NoiseKey {
  uint64_t seed;  // of the trial
  Purpose purpose;
  uint32_t time;  // training: the step; evaluation: the split
  uint32_t draw = 0;
};

// out[i * draws + s, e] is element e of draw key.draw + s of the stream of example `examples[i]` (a
// global index): elements 4b .. 4b+3 are two Box-Muller pairs of block b.   out: [examples * draws,
// latent], float32 on the CPU, contiguous. Thread-safe.
void fill_normal(const NoiseKey& key, std::span<const int64_t> examples, at::Tensor out,
                 int64_t draws = 1);

}  // namespace elbow::models
