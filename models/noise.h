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

// out[i, e] is element e of the stream of example `examples[i]` (a global index): elements 4b ..
// 4b+3 are two Box-Muller pairs of block b.   out: [examples, latent], float32 on the CPU,
// contiguous. Thread-safe.
void fill_normal(const NoiseKey& key, std::span<const int64_t> examples, at::Tensor out);

// The same for many draws of one example: out[i, e] is element e of its draw key.draw + i.
//   out: [draws, latent], float32 on the CPU, contiguous. Thread-safe.
void fill_normal_draws(const NoiseKey& key, int64_t example, at::Tensor out);

}  // namespace elbow::models
