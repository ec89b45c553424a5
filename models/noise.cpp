#include "models/noise.h"

#include <algorithm>

#include "models/elementwise.h"
#include "models/simd.h"

namespace elbow::models {

namespace {

// Blocks of four numbers that are drawn side by side, and where each belongs.
struct Blocks {
  static constexpr int64_t kRoom = 64;
  uint32_t block[kRoom] = {}, example[kRoom] = {}, draw[kRoom] = {};
  float number[4][kRoom];
  float* target[kRoom];
  int64_t width[kRoom];  // of its numbers, how many are wanted
  int64_t count = 0;
};

ELBOW_SIMD void draw_numbers(const NoiseKey& key, Blocks& blocks) {
  const NoiseKey k = key;
#pragma GCC ivdep
  for (int64_t i = 0; i < Blocks::kRoom; ++i) {
    const auto words = random_block({k.seed, k.purpose, k.time, blocks.example[i], blocks.draw[i]},
                                    blocks.block[i]);
    const auto a = normal_pair(words.word[0], words.word[1]);
    const auto b = normal_pair(words.word[2], words.word[3]);
    blocks.number[0][i] = a.first;
    blocks.number[1][i] = a.second;
    blocks.number[2][i] = b.first;
    blocks.number[3][i] = b.second;
  }
}

void empty_into_targets(const NoiseKey& key, Blocks& blocks) {
  draw_numbers(key, blocks);
  for (int64_t i = 0; i < blocks.count; ++i) {
    for (int64_t j = 0; j < blocks.width[i]; ++j) blocks.target[i][j] = blocks.number[j][i];
  }
  blocks.count = 0;
}

}  // namespace

void fill_normal(const NoiseKey& key, std::span<const int64_t> examples, at::Tensor out,
                 int64_t draws) {
  const int64_t latent = out.size(-1);
  float* target = out.mutable_data_ptr<float>();
  Blocks blocks;
  for (const int64_t example : examples) {
    for (int64_t draw = 0; draw < draws; ++draw, target += latent) {
      for (int64_t e = 0; e < latent; e += 4) {
        const int64_t i = blocks.count++;
        blocks.block[i] = static_cast<uint32_t>(e / 4);
        blocks.example[i] = static_cast<uint32_t>(example);
        blocks.draw[i] = key.draw + static_cast<uint32_t>(draw);
        blocks.target[i] = target + e;
        blocks.width[i] = std::min<int64_t>(4, latent - e);
        if (blocks.count == Blocks::kRoom) empty_into_targets(key, blocks);
      }
    }
  }
  if (blocks.count > 0) empty_into_targets(key, blocks);
}

}  // namespace elbow::models
