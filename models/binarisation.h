// When a grey byte counts as 1. Plain C++ without library headers: a kernel and the CPU use the
// same lines, so both give the same bits.
#pragma once

#include "models/philox.h"

namespace elbow::models {

// Seed of the one fixed draw ("static"): no trial's seed changes it, so all trials see the same
// binary data set.
inline constexpr uint64_t kStaticBinarisationSeed = 0x656C626F77ull;

// Pixel e of an example takes word e % 4 of block e / 4 of its stream. `example` is the global
// index. Drawn anew at each presentation; `time` is the step, or 0 in an evaluation.
ELBOW_HOST_DEVICE StreamKey stochastic_binarisation(uint64_t seed, uint32_t time,
                                                    uint32_t example) {
  return {seed, Purpose::kBinarisation, time, example, /*draw=*/0};
}

// Drawn once for all time; another draw number, so it never repeats a stochastic one.
ELBOW_HOST_DEVICE StreamKey static_binarisation(uint32_t example) {
  return {kStaticBinarisationSeed, Purpose::kBinarisation, /*time=*/0, example, /*draw=*/1};
}

// True with probability byte / 255: where word / 2^32 < byte / 255, exactly. 0 is never 1, 255
// always.
ELBOW_HOST_DEVICE bool binarised(uint8_t byte, uint32_t word) {
  return uint64_t{word} * 255 < (uint64_t{byte} << 32);
}

}  // namespace elbow::models
