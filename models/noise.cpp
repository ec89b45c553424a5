#include "models/noise.h"

#include <algorithm>

#include "models/elementwise.h"

namespace elbow::models {

namespace {

void fill_stream(const StreamKey& stream, int64_t latent, float* target) {
  for (int64_t e = 0; e < latent; e += 4) {
    const auto block = random_block(stream, static_cast<uint32_t>(e / 4));
    const auto a = normal_pair(block.word[0], block.word[1]);
    const auto b = normal_pair(block.word[2], block.word[3]);
    const float four[4] = {a.first, a.second, b.first, b.second};
    std::copy_n(four, std::min<int64_t>(4, latent - e), target + e);
  }
}

}  // namespace

void fill_normal(const NoiseKey& key, std::span<const int64_t> examples, at::Tensor out,
                 int64_t draws) {
  const int64_t latent = out.size(-1);
  float* target = out.mutable_data_ptr<float>();
  for (const int64_t example : examples) {
    for (int64_t draw = 0; draw < draws; ++draw, target += latent) {
      fill_stream({key.seed, key.purpose, key.time, static_cast<uint32_t>(example),
                   key.draw + static_cast<uint32_t>(draw)},
                  latent, target);
    }
  }
}

}  // namespace elbow::models
