// Images of one file, in memory: NumPy's .npy or IDX, plain or packed, told apart by content.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "trainer/dataset.h"

namespace elbow::trainer {

struct ImageFile {
  at::Tensor images;  // uint8, or float32 in [0, 1]: [examples, height * width * channels]
  int64_t channels = 1, height = 0, width = 0;
  DataFile file;
};

// .npy: uint8, or float32 in [0, 1]; [N, D] is one line of D, [N, H, W] grey, [N, H, W, C] or [N,
// C, H, W] with C = 1 or 3 has channels, which come to lie side by side. DataError
// with file and byte where anything is not as above.
ImageFile read_image_file(const std::filesystem::path& path);
ImageFile parse_image_file(std::span<const uint8_t> stored,
                           const std::string& file);  // file: for the sentences

}  // namespace elbow::trainer
