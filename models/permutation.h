// The order of an epoch as a pure function position -> index of (seed, epoch), without an array of
// `size` numbers: a Feistel network over the smallest power of two that holds `size`, whose results
// outside [0, size) are fed in again until one lies inside (cycle walking: Black & Rogaway 2002,
// "Ciphers with arbitrary finite domains"). Immutable, so any thread may call it. Plain C++ without
// library headers, because NVRTC compiles it as well.
#pragma once

#include "models/philox.h"

namespace elbow::models {

class Permutation {
 public:
  // size: 1 .. 2^32.
  ELBOW_HOST_DEVICE Permutation(uint64_t seed, uint32_t epoch, uint64_t size) : size_(size) {
    uint32_t bits = 0;
    while ((uint64_t{1} << bits) < size) ++bits;
    low_bits_ = bits / 2;
    low_mask_ = static_cast<uint32_t>((uint64_t{1} << low_bits_) - 1);
    high_mask_ = static_cast<uint32_t>((uint64_t{1} << (bits - low_bits_)) - 1);
    const StreamKey key{seed, Purpose::kPermutation, epoch, /*example=*/0, /*draw=*/0};
    for (uint32_t block = 0; block < kRounds / 4; ++block) {
      const Philox4 random = random_block(key, block);
      for (uint32_t i = 0; i < 4; ++i) round_key_[4 * block + i] = random.word[i];
    }
  }

  // The index at `position` of this order; position in [0, size), and so is the result.
  ELBOW_HOST_DEVICE uint64_t operator()(uint64_t position) const {
    do {
      position = shuffle(position);
    } while (position >= size_);
    return position;
  }

  ELBOW_HOST_DEVICE uint64_t size() const { return size_; }

 private:
  static constexpr uint32_t kRounds = 8;

  // A bijection of the power of two: each round changes one half by a function of the other.
  ELBOW_HOST_DEVICE uint64_t shuffle(uint64_t value) const {
    uint32_t low = static_cast<uint32_t>(value) & low_mask_;
    uint32_t high = static_cast<uint32_t>(value >> low_bits_);
    for (uint32_t round = 0; round < kRounds; round += 2) {
      high ^= mix(low ^ round_key_[round]) & high_mask_;
      low ^= mix(high ^ round_key_[round + 1]) & low_mask_;
    }
    return (uint64_t{high} << low_bits_) | low;
  }

  // The finalizer of MurmurHash3: every bit of the result depends on every bit of `x`.
  ELBOW_HOST_DEVICE static uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x85EBCA6Bu;
    x ^= x >> 13;
    x *= 0xC2B2AE35u;
    return x ^ (x >> 16);
  }

  uint64_t size_;
  uint32_t low_bits_;
  uint32_t low_mask_;
  uint32_t high_mask_;
  uint32_t round_key_[kRounds];
};

}  // namespace elbow::models
