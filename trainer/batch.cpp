#include "trainer/batch.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "models/binarisation.h"

namespace elbow::trainer {
namespace {

// byte / 255, correctly rounded, in arithmetic that every instruction set vectorises: 1/255 = 1/256
// + 1/(255 * 256), the first product is exact and the second small. A test compares all 256 values
// with the division.
float scaled(uint8_t byte) {
  const float value = byte;
  return value * (1.0f / 256.0f) + value * (1.0f / 65280.0f);
}

void scale(const uint8_t* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = scaled(bytes[i]);
}

void cut(const uint8_t* bytes, int64_t count, int threshold, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = bytes[i] >= threshold ? 1.0f : 0.0f;
}

uint32_t load_block(const uint8_t* bytes, int64_t available) {
  uint32_t block = 0;
  std::memcpy(&block, bytes, static_cast<size_t>(std::min<int64_t>(available, 4)));
  return block;
}

// Some of the four bytes is neither 0 nor 255: its bits are not all equal.
bool needs_draw(uint32_t block) { return ((block ^ (block >> 1)) & 0x7F7F7F7Fu) != 0; }

// First all pixels as if none were grey, then a draw for each block of four that has a grey one.
// The blocks are listed without a branch, because a branch would be mispredicted at every edge of a
// stroke.
void draw(const uint8_t* bytes, int64_t count, const models::StreamKey& key, float* out) {
  constexpr int64_t kBlocksPerChunk = 64;
  std::array<uint32_t, kBlocksPerChunk> listed;
  const int64_t blocks = (count + 3) / 4;
  cut(bytes, count, 255, out);
  for (int64_t chunk = 0; chunk < blocks; chunk += kBlocksPerChunk) {
    size_t length = 0;
    for (int64_t block = chunk; block < std::min(blocks, chunk + kBlocksPerChunk); ++block) {
      listed[length] = static_cast<uint32_t>(block);
      length += needs_draw(load_block(bytes + 4 * block, count - 4 * block)) ? 1 : 0;
    }
    for (size_t i = 0; i < length; ++i) {
      const models::Philox4 random = models::random_block(key, listed[i]);
      const int64_t begin = int64_t{4} * listed[i];
      const int64_t pixels = std::min<int64_t>(4, count - begin);
      for (int64_t j = 0; j < pixels; ++j) {
        out[begin + j] = models::binarised(bytes[begin + j], random.word[j]) ? 1.0f : 0.0f;
      }
    }
  }
}

void fill_row(const uint8_t* bytes, int64_t count, const BatchRequest& request, uint32_t example,
              float* out) {
  switch (request.binarise) {
    case Binarise::kNone:
      return scale(bytes, count, out);
    case Binarise::kThreshold:
      return cut(bytes, count, request.threshold, out);
    case Binarise::kStochastic:
      return draw(bytes, count,
                  models::stochastic_binarisation(request.seed, request.time, example), out);
    case Binarise::kStatic:
      return draw(bytes, count, models::static_binarisation(example), out);
  }
}

}  // namespace

void gather(const at::Tensor& images, std::span<const int64_t> indices, const BatchRequest& request,
            at::Tensor out) {
  TORCH_CHECK(images.dim() == 2 && images.is_contiguous() && images.scalar_type() == at::kByte,
              "gather: images must be uint8 [examples, observed] and contiguous");
  const int64_t examples = images.size(0);
  const int64_t observed = images.size(1);
  const auto count = static_cast<int64_t>(indices.size());
  TORCH_CHECK(out.dim() == 2 && out.size(0) == count && out.size(1) == observed &&
                  out.is_contiguous() && out.scalar_type() == at::kFloat && out.is_cpu(),
              "gather: out must be float32 [", count, ", ", observed, "] and contiguous");
  const uint8_t* bytes = images.const_data_ptr<uint8_t>();
  float* row = out.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    TORCH_CHECK(index >= 0 && index < examples, "gather: index ", index, " is not in [0, ",
                examples, ")");
    fill_row(bytes + index * observed, observed, request,
             request.first_index + static_cast<uint32_t>(index), row);
    row += observed;
  }
}

}  // namespace elbow::trainer
