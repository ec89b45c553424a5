// TensorBoard's record files: u64 length, u32 masked CRC-32C of the length, the bytes, u32 masked
// CRC-32C of the bytes; mask(c) = ((c >> 15) | (c << 17)) + 0xa282ead8; all little-endian
// (tensorflow/core/lib/io/record_writer.h). What the bytes mean is tensorboard_event.h's business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace elbow::trainer {

uint32_t masked_crc32c(std::string_view bytes);

// Appends; a record is one write, so that a reader, and a crash, see whole records but for the
// last.
class RecordFile {
 public:
  explicit RecordFile(const std::filesystem::path& file);  // std::runtime_error: file and reason
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  void write(std::string_view bytes);  // throws std::runtime_error

 private:
  std::filesystem::path file_;
  int descriptor_;
};

// Cuts the file before the first record that `keep` refuses, or that is torn or damaged, and
// returns the number of records that are left. DataError where it cannot be read, std::system_error
// where it cannot be cut.
int64_t truncate_records(const std::filesystem::path& file,
                         const std::function<bool(std::string_view record)>& keep);

}  // namespace elbow::trainer
