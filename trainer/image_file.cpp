#include "trainer/image_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/idx.h"
#include "trainer/npy_file.h"
#include "trainer/sha256.h"

namespace elbow::trainer {
namespace {

bool is_npy(std::span<const uint8_t> stored) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  return stored.size() >= kMagic.size() &&
         std::equal(kMagic.begin(), kMagic.end(), stored.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

[[noreturn]] void fail(const std::string& file, uint64_t offset, const std::string& why,
                       const char* remedy) {
  throw DataError(fmt::format("{} holds no images that can be used, at byte {}: {}; {}", file,
                              offset, why, remedy));
}

bool are_channels(int64_t size) { return size == 1 || size == 3; }

// Sets channels, height and width; `values` comes to lie as [examples, height, width, channels].
void set_shape(ImageFile& result, at::Tensor& values, const std::string& file) {
  const auto shape = values.sizes().vec();
  const bool last = shape.size() == 4 && are_channels(shape[3]);
  const bool first = shape.size() == 4 && !last && are_channels(shape[1]);
  if (shape.size() == 2) {
    result.height = 1;
    result.width = shape[1];
  } else if (shape.size() == 3) {
    result.height = shape[1];
    result.width = shape[2];
  } else if (last || first) {
    if (first) values = values.permute({0, 2, 3, 1});
    result.height = values.size(1);
    result.width = values.size(2);
    result.channels = values.size(3);
  } else {
    fail(file, 0, fmt::format("its shape is ({})", fmt::join(shape, ", ")),
         "give [N, D], [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3");
  }
  if (values.numel() == 0)
    fail(file, 0, fmt::format("its shape ({}) holds no pixel", fmt::join(shape, ", ")),
         "give at least one image");
}

// values: in the order of the file, whose last bytes they are.
void check_range(const at::Tensor& values, uint64_t file_bytes, const std::string& file) {
  const float* value = values.const_data_ptr<float>();
  const float* end = value + values.numel();
  const float* bad = std::find_if(value, end, [](float v) { return !(v >= 0 && v <= 1); });
  if (bad == end) return;
  fail(file, file_bytes - static_cast<uint64_t>(end - bad) * sizeof(float),
       fmt::format("the value {} is not in [0, 1]", *bad), "scale its values, or store bytes");
}

ImageFile from_npy(std::span<const uint8_t> stored, const std::string& file) {
  ImageFile result;
  auto values = parse_npy(stored, file);
  const bool floats = values.scalar_type() == at::kFloat;
  if (!floats && values.scalar_type() != at::kByte)
    fail(file, 0, "its numbers are neither bytes nor float32", "store uint8, or float32 in [0, 1]");
  if (floats) check_range(values, stored.size(), file);
  set_shape(result, values, file);
  result.images = values.reshape({values.size(0), -1}).contiguous();
  result.file = {.name = file, .sha256 = sha256(stored)};
  return result;
}

ImageFile from_idx(std::span<const uint8_t> stored, const std::string& file) {
  ImageFile result;
  const auto array = parse_idx(stored, file);
  if (array.shape.size() < 2)
    fail(file, 3, "images need 2 or 3 dimensions and it has 1", "give images, not labels");
  auto values = array.bytes;
  set_shape(result, values, file);
  result.images = values.reshape({values.size(0), -1});
  result.file = {.name = file, .sha256 = array.sha256};
  return result;
}

}  // namespace

ImageFile parse_image_file(std::span<const uint8_t> stored, const std::string& file) {
  return is_npy(stored) ? from_npy(stored, file) : from_idx(stored, file);
}

ImageFile read_image_file(const std::filesystem::path& path) {
  return parse_image_file(read_file(path), path.string());
}

}  // namespace elbow::trainer
