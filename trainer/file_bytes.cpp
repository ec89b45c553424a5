#include "trainer/file_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include "trainer/error.h"

namespace elbow::trainer {
namespace {

class File {
 public:
  File(const std::filesystem::path& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::string reason() { return std::generic_category().message(errno); }

[[noreturn]] void fail_to_read(const std::filesystem::path& path, uint64_t offset,
                               const std::string& why) {
  throw DataError(fmt::format("cannot read {}: {} (at byte {}); give an existing, readable file",
                              path.string(), why, offset));
}

[[noreturn]] void fail_to_write(const std::filesystem::path& path, const char* operation) {
  const std::error_code error(errno, std::generic_category());
  throw std::system_error(error,
                          fmt::format("cannot write {}: {} failed", path.string(), operation));
}

void write_all(const File& file, std::span<const uint8_t> bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(path, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void sync(const File& file, const std::filesystem::path& path) {
  if (::fsync(file.descriptor()) != 0) fail_to_write(path, "fsync");
}

}  // namespace

void write_synced(const std::filesystem::path& path,
                  std::span<const std::span<const uint8_t>> pieces) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.is_open()) fail_to_write(path, "open");
  for (const auto piece : pieces) write_all(file, piece, path);
  sync(file, path);
}

void sync_path(const std::filesystem::path& path) {
  const File file(path, O_RDONLY);
  if (!file.is_open()) fail_to_write(path, "open");
  sync(file, path);
}

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  uint64_t file_bytes;
  return read_beginning(path, std::numeric_limits<uint64_t>::max(), file_bytes);
}

std::vector<uint8_t> read_beginning(const std::filesystem::path& path, uint64_t at_most,
                                    uint64_t& file_bytes) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) fail_to_read(path, 0, reason());
  if (S_ISDIR(status.st_mode)) fail_to_read(path, 0, "it is a folder");
  if (!S_ISREG(status.st_mode)) fail_to_read(path, 0, "it is not a regular file");
  const File file(path, O_RDONLY);
  if (!file.is_open()) fail_to_read(path, 0, reason());
  file_bytes = static_cast<uint64_t>(status.st_size);
  std::vector<uint8_t> bytes(std::min(file_bytes, at_most));
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::read(file.descriptor(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_read(path, filled, reason());
    if (count == 0)
      break;  // it became shorter meanwhile: what is missing is found by whoever parses it
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

void replace_file(const std::filesystem::path& path,
                  std::span<const std::span<const uint8_t>> pieces) {
  auto temporary = path;
  temporary += fmt::format(".tmp{}", ::getpid());
  try {
    write_synced(temporary, pieces);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_to_write(path, "rename");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  sync_path(parent);
}

}  // namespace elbow::trainer
