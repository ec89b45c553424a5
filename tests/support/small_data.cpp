#include "tests/support/small_data.h"

#include <ATen/ATen.h>

#include "models/philox.h"

namespace elbow::tests {
namespace {

at::Tensor random_bytes(int64_t examples, int64_t observed, uint64_t seed, uint32_t draw) {
  auto bytes = at::empty({examples, observed}, at::kByte);
  auto* out = bytes.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < bytes.numel(); ++i) {
    const auto block = models::random_block(
        {seed, models::Purpose::kSyntheticData, 0, static_cast<uint32_t>(i / 4), draw}, 0);
    const uint32_t word = block.word[i % 4];
    out[i] = word % 3 == 0 ? static_cast<uint8_t>(word >> 24) : 0;  // mostly black, like drawings
  }
  return bytes;
}

}  // namespace

trainer::Dataset small_data(int64_t train, int64_t test, int64_t height, int64_t width,
                            uint64_t seed) {
  trainer::Dataset data;
  data.name = "small";
  data.height = height;
  data.width = width;
  data.train = {"train", random_bytes(train, height * width, seed, 0), {}, 0};
  data.validation = {"validation", at::empty({0, height * width}, at::kByte), {}, train};
  data.test = {"test", random_bytes(test, height * width, seed, 1), {}, train};
  return data;
}

}  // namespace elbow::tests
