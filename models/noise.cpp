#include "models/noise.h"

#include <algorithm>

#include "models/elementwise.h"

namespace elbow::models {

namespace {

// Elements [0, latent) of one stream.
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

void fill_normal(const NoiseKey& key, std::span<const int64_t> examples, at::Tensor out) {
  const int64_t latent = out.size(-1);
  float* target = out.mutable_data_ptr<float>();
  for (const int64_t example : examples) {
    fill_stream({key.seed, key.purpose, key.time, static_cast<uint32_t>(example), key.draw}, latent,
                target);
    target += latent;
  }
}

void fill_normal_draws(const NoiseKey& key, int64_t example, at::Tensor out) {
  const int64_t latent = out.size(-1);
  float* target = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < out.size(0); ++i) {
    fill_stream({key.seed, key.purpose, key.time, static_cast<uint32_t>(example),
                 key.draw + static_cast<uint32_t>(i)},
                latent, target);
    target += latent;
  }
}

}  // namespace elbow::models
