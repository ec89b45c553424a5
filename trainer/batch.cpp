#include "trainer/batch.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

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

// Some of the four bytes is neither 0 nor 255: its bits are not all equal.
bool has_grey(const uint8_t* bytes) {
  uint32_t block;
  std::memcpy(&block, bytes, sizeof block);
  return ((block ^ (block >> 1)) & 0x7F7F7F7Fu) != 0;
}

void draw_block(const uint8_t* bytes, int64_t pixels, const models::Philox4& random, float* out) {
  for (int64_t i = 0; i < pixels; ++i) {
    out[i] = static_cast<float>(models::binarised(bytes[i], random.word[i]));
  }
}

// First all pixels as if none were grey, then a draw for each block of four that has a grey one.
// The blocks are listed without a branch, because a branch would be mispredicted at every edge of a
// stroke.
void draw(const uint8_t* bytes, int64_t count, const models::StreamKey& key, float* out) {
  constexpr int64_t kChunk = 256;
  std::array<uint32_t, kChunk> listed;
  const int64_t whole_blocks = count / 4;
  cut(bytes, count, 255, out);
  for (int64_t chunk = 0; chunk < whole_blocks; chunk += kChunk) {
    size_t length = 0;
    for (int64_t block = chunk; block < std::min(whole_blocks, chunk + kChunk); ++block) {
      listed[length] = static_cast<uint32_t>(block);
      length += has_grey(bytes + 4 * block) ? 1 : 0;
    }
    for (size_t i = 0; i < length; ++i) {
      const int64_t begin = int64_t{4} * listed[i];
      draw_block(bytes + begin, 4, models::random_block(key, listed[i]), out + begin);
    }
  }
  const int64_t begin = 4 * whole_blocks;
  if (begin == count) return;
  draw_block(bytes + begin, count - begin,
             models::random_block(key, static_cast<uint32_t>(whole_blocks)), out + begin);
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

// The same of numbers in [0, 1], whose bytes would be 255 times as large. A draw compares word /
// 2^32 with the number, exactly, as binarised() does with a byte.
void fill_row(const float* values, int64_t count, const BatchRequest& request, uint32_t example,
              float* out) {
  if (request.binarise == Binarise::kNone) {
    std::copy_n(values, count, out);
    return;
  }
  if (request.binarise == Binarise::kThreshold) {
    const auto threshold = static_cast<float>(request.threshold);
    for (int64_t i = 0; i < count; ++i) out[i] = values[i] * 255.0f >= threshold ? 1.0f : 0.0f;
    return;
  }
  const auto key = request.binarise == Binarise::kStochastic
                       ? models::stochastic_binarisation(request.seed, request.time, example)
                       : models::static_binarisation(example);
  for (int64_t begin = 0; begin < count; begin += 4) {
    const auto random = models::random_block(key, static_cast<uint32_t>(begin / 4));
    for (int64_t i = begin; i < std::min(begin + 4, count); ++i) {
      constexpr double kWords = 4294967296.0;
      out[i] = random.word[i - begin] < values[i] * kWords ? 1.0f : 0.0f;
    }
  }
}

// Shuffled rows lie anywhere in memory: asks for the next one while this one is worked on.
template <class Stored>
void prefetch(const Stored* stored, int64_t count) {
  for (int64_t i = 0; i < count; i += 64 / static_cast<int64_t>(sizeof(Stored)))
    __builtin_prefetch(stored + i);
}

void check(std::span<const int64_t> indices, int64_t examples, int64_t observed,
           const at::Tensor& out) {
  const auto count = static_cast<int64_t>(indices.size());
  TORCH_CHECK(out.dim() == 2 && out.size(0) == count && out.size(1) == observed &&
                  out.is_contiguous() && out.scalar_type() == at::kFloat && out.is_cpu(),
              "gather: out must be float32 [", count, ", ", observed, "] and contiguous");
  for (const int64_t index : indices) {
    TORCH_CHECK(index >= 0 && index < examples, "gather: index ", index, " is not in [0, ",
                examples, ")");
  }
}

void gather_from(const ExampleSource& source, std::span<const int64_t> indices,
                 const BatchRequest& request, const at::Tensor& out) {
  const int64_t observed = source.observed();
  check(indices, source.examples(), observed, out);
  thread_local std::vector<uint8_t> bytes;
  bytes.resize(indices.size() * static_cast<size_t>(observed));
  source.read(indices, bytes.data());
  const uint8_t* stored = bytes.data();
  float* row = out.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    fill_row(stored, observed, request, request.first_index + static_cast<uint32_t>(index), row);
    stored += observed;
    row += observed;
  }
}

template <class Stored>
void gather_rows(const Stored* stored, std::span<const int64_t> indices,
                 const BatchRequest& request, const at::Tensor& out) {
  const int64_t observed = out.size(1);
  float* row = out.mutable_data_ptr<float>();
  for (size_t i = 0; i < indices.size(); ++i) {
    if (i + 1 < indices.size()) prefetch(stored + indices[i + 1] * observed, observed);
    const auto example = request.first_index + static_cast<uint32_t>(indices[i]);
    fill_row(stored + indices[i] * observed, observed, request, example, row);
    row += observed;
  }
}

}  // namespace

void gather(const at::Tensor& images, std::span<const int64_t> indices, const BatchRequest& request,
            at::Tensor out) {
  const bool bytes = images.scalar_type() == at::kByte;
  TORCH_CHECK(
      images.dim() == 2 && images.is_contiguous() && (bytes || images.scalar_type() == at::kFloat),
      "gather: images must be uint8 or float32 [examples, observed] and contiguous");
  check(indices, images.size(0), images.size(1), out);
  if (bytes) return gather_rows(images.const_data_ptr<uint8_t>(), indices, request, out);
  gather_rows(images.const_data_ptr<float>(), indices, request, out);
}

void gather(const Split& split, std::span<const int64_t> indices, const BatchRequest& request,
            at::Tensor out) {
  if (split.source) return gather_from(*split.source, indices, request, out);
  gather(split.images, indices, request, out);
}

}  // namespace elbow::trainer
