// Reads IDX, the format of MNIST, plain or packed with gzip (told apart by content, not by name):
//   0, 0, 8 (unsigned bytes), dimensions; each size as a big-endian u32; the bytes, last dimension
//   fastest.
// Any thread. Every fault is a DataError whose sentence has the file, the byte offset (of the
// unpacked bytes, unless the gzip stream itself is damaged), the reason and what to do; sizes are
// checked before anything is allocated for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace elbow::trainer {

struct IdxArray {
  std::vector<int64_t> shape;  // one to three sizes, each at least 1
  at::Tensor bytes;            // uint8 of that shape, contiguous, on the CPU
  std::string sha256;          // of the file's bytes as stored
};

IdxArray read_idx(const std::filesystem::path& path);
IdxArray parse_idx(std::span<const uint8_t> stored,
                   const std::string& file);  // file: for the sentences

// What a plain file's beginning says of the whole, for one that is read in place.
struct IdxHeader {
  std::vector<int64_t> shape;
  int64_t data_begin;  // byte of the first element
};

bool is_packed_idx(std::span<const uint8_t> beginning);

inline constexpr uint64_t kLongestIdxHeader = 16;

// beginning: the file's first kLongestIdxHeader bytes, or all where there are fewer. file_bytes:
// its size, which must be just what the header promises.
IdxHeader parse_idx_header(std::span<const uint8_t> beginning, uint64_t file_bytes,
                           const std::string& file);

// SHA-256 of the array as a plain IDX file: the same for every way of packing it.
std::string sha256_unpacked(const IdxArray& array);

}  // namespace elbow::trainer
