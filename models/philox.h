// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), as a pure
// function of what a number is for. No generator state exists anywhere. Plain C++ without library
// headers, because NVRTC compiles it as well.
#pragma once

#ifndef __CUDACC_RTC__
#include <cstdint>
#endif

#ifdef __CUDACC__
#define ELBOW_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define ELBOW_HOST_DEVICE inline
#endif

namespace elbow::models {

// What a random number is for. The values are part of every trial's bits: never renumber.
enum class Purpose : uint32_t {
  kInitialWeights = 0,
  kPermutation = 1,
  kTrainingNoise = 2,
  kEvaluationNoise = 3,
  kBinarisation = 4,
  kConditionMask = 5,
  kSyntheticData = 6,
  kSearch = 7,
  kPriorSamples = 8,
};

struct Philox4 {
  uint32_t word[4];
};

// The bare generator: 10 rounds on `counter` under `key`.
ELBOW_HOST_DEVICE Philox4 philox4x32_10(Philox4 counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = Philox4{{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                       static_cast<uint32_t>(product1),
                       static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                       static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Names one stream of numbers: element e of it is word e % 4 of block e / 4.
//   seed: of the trial. time: step or epoch, below 2^32. example: global index in the data set,
//   below 2^32. draw: below 2^24 (several draws for one example).
struct StreamKey {
  uint64_t seed;
  Purpose purpose;
  uint32_t time;
  uint32_t example;
  uint32_t draw;
};

ELBOW_HOST_DEVICE Philox4 random_block(const StreamKey& key, uint32_t block) {
  return philox4x32_10(Philox4{{block, key.example, key.time,
                                (static_cast<uint32_t>(key.purpose) << 24) | key.draw}},
                       static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32));
}

// Uniform in (0, 1): the 23 upper bits, centred, so that neither 0 nor 1 occurs and the value is
// exact in float32.
ELBOW_HOST_DEVICE float uniform_open(uint32_t word) {
  return (static_cast<float>(word >> 9) + 0.5f) * 1.1920928955078125e-07f;
}

}  // namespace elbow::models
