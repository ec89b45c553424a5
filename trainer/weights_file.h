// Named tensors in a safetensors file: u64 size of the header, a JSON header (dtype, shape,
// data_offsets of each tensor) padded with spaces to 8 bytes, then the data without gaps. The bytes
// depend on names, tensors and metadata alone, so equal weights are equal files. Knows nothing of
// models. Blocking; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace elbow::trainer {

using NamedTensor = std::pair<std::string, at::Tensor>;
using WeightsMetadata = std::map<std::string, std::string>;

// Tensors: float32, float64, uint8, int64 or bfloat16, any shape, strides and device; stored in the
// order given. The file is replaced at once (trainer/file_bytes.h). c10::Error where a name comes
// twice, is not UTF-8 or is
// "__metadata__", or a dtype has no place; std::system_error where the disk refuses.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const WeightsMetadata& metadata = {});

// The bytes of that file.
std::vector<uint8_t> safetensors_bytes(const std::vector<NamedTensor>& tensors,
                                       const WeightsMetadata& metadata = {});

struct WeightsFile {
  std::vector<NamedTensor> tensors;  // on the CPU, in the order of their data
  WeightsMetadata metadata;
};

// Checks everything before it allocates. DataError with file and byte offset where anything is not
// as above.
WeightsFile read_safetensors(const std::filesystem::path& path);
WeightsFile parse_safetensors(std::span<const uint8_t> stored,
                              const std::string& file);  // file: for the sentences

}  // namespace elbow::trainer
