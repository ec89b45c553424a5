// One tensor in NumPy's .npy format, version 1.0: magic and version, u16 size of the header, the
// header (a Python dictionary with descr, fortran_order and shape) padded to 64 bytes, then the
// numbers in C order. numpy.load() reads it. Blocking; any thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace elbow::trainer {

// values: float32, float64, int64 or uint8, any shape, strides and device. The file is replaced at
// once (trainer/file_bytes.h). c10::Error where a dtype has no place; std::system_error where the
// disk refuses.
void write_npy(const std::filesystem::path& path, const at::Tensor& values);

// Reads what write_npy() writes, and versions 2.0 and 3.0 of the same; on the CPU. Checks
// everything before it allocates. DataError with file and byte offset where anything is not as
// above (Fortran order and other dtypes included).
at::Tensor read_npy(const std::filesystem::path& path);
at::Tensor parse_npy(std::span<const uint8_t> stored,
                     const std::string& file);  // file: for the sentences

}  // namespace elbow::trainer
