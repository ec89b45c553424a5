#include "trainer/record_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

static_assert(std::endian::native == std::endian::little, "records are little-endian");

constexpr size_t kBefore = 12, kAfter = 4;  // bytes around a record's own

template <class Word>
std::string_view bytes_of(const Word& word) {
  return {reinterpret_cast<const char*>(&word), sizeof word};
}

template <class Word>
Word word_at(std::string_view bytes, size_t at) {
  Word word;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

// The record at the beginning of `bytes`, where it is whole and undamaged.
std::optional<std::string_view> first_record(std::string_view bytes) {
  if (bytes.size() < kBefore + kAfter) return std::nullopt;
  const auto length = word_at<uint64_t>(bytes, 0);
  if (word_at<uint32_t>(bytes, 8) != masked_crc32c(bytes.substr(0, 8))) return std::nullopt;
  if (length > bytes.size() - kBefore - kAfter) return std::nullopt;
  const auto record = bytes.substr(kBefore, length);
  if (word_at<uint32_t>(bytes, kBefore + length) != masked_crc32c(record)) return std::nullopt;
  return record;
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return std::rotr(static_cast<uint32_t>(crc.checksum()), 15) + 0xa282ead8U;
}

RecordFile::RecordFile(const std::filesystem::path& file)
    : file_(file),
      descriptor_(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0)
    throw std::runtime_error(
        fmt::format("cannot write {}: {}", file_.string(), std::strerror(errno)));
}

RecordFile::~RecordFile() { close(descriptor_); }

void RecordFile::write(std::string_view bytes) {
  const auto length = static_cast<uint64_t>(bytes.size());
  std::string record(bytes_of(length));
  record += bytes_of(masked_crc32c(bytes_of(length)));
  record += bytes;
  record += bytes_of(masked_crc32c(bytes));
  const ssize_t count = ::write(descriptor_, record.data(), record.size());
  if (count == static_cast<ssize_t>(record.size())) return;
  throw std::runtime_error(fmt::format("cannot write {}: {}", file_.string(),
                                       count < 0 ? std::strerror(errno) : "the disk is full"));
}

int64_t truncate_records(const std::filesystem::path& file,
                         const std::function<bool(std::string_view record)>& keep) {
  const auto stored = read_file(file);
  const std::string_view all(reinterpret_cast<const char*>(stored.data()), stored.size());
  size_t end = 0;
  int64_t kept = 0;
  for (auto rest = all; const auto record = first_record(rest); rest = all.substr(end)) {
    if (!keep(*record)) break;
    end += kBefore + record->size() + kAfter;
    ++kept;
  }
  if (end < all.size()) std::filesystem::resize_file(file, end);
  return kept;
}

}  // namespace elbow::trainer
