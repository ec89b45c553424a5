// Takes examples out of a split of bytes, scales them to [0, 1] and binarises them, in one pass on
// the CPU. Which examples, and which step it is, is the caller's business. Any number of threads at
// once; allocates nothing, but once a thread for examples that do not lie in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "trainer/dataset.h"

namespace elbow::trainer {

enum class Binarise {
  kNone,        // byte / 255
  kThreshold,   // 1 where byte >= threshold
  kStochastic,  // 1 with probability byte / 255, drawn anew for each (seed, time, example)
  kStatic,  // 1 with probability byte / 255, one draw for each example, the same for every trial
};

// The streams and the exact comparison are those of models/binarisation.h.
struct BatchRequest {
  Binarise binarise = Binarise::kNone;
  int threshold = 128;       // for kThreshold, 0 .. 256
  uint64_t seed = 0;         // for kStochastic: the trial's
  uint32_t time = 0;         // for kStochastic: the step
  uint32_t first_index = 0;  // global index of the split's first example
  bool measured = false;     // by an evaluation: nothing is drawn anew
};

// images: uint8, or float32 in [0, 1], [examples, observed]; indices: [count], each in [0,
// examples); out: float32 [count, observed], which receives example indices[i] in row i. All on the
// CPU and contiguous. c10::Error where a shape or an index is wrong.
void gather(const at::Tensor& images, std::span<const int64_t> indices, const BatchRequest& request,
            at::Tensor out);

// The same from a split, wherever its examples come from. DataError where they cannot be had.
void gather(const Split& split, std::span<const int64_t> indices, const BatchRequest& request,
            at::Tensor out);

}  // namespace elbow::trainer
