#include "comm/hang_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace elbow::comm {
namespace {

constexpr size_t kMostBytes = 1 << 16;

uint64_t bytes_in(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace

HangFile::HangFile(const std::string& folder)
    : path_(folder.empty() ? std::string() : folder + "/hangs.txt") {}

// Opened each time: a file system of several hosts looks for what others wrote then.
uint64_t HangFile::bytes() const {
  const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const auto bytes = bytes_in(file);
  close(file);
  return bytes;
}

void HangFile::append(const std::string& line) const {
  if (path_.empty()) return;
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  const auto text = line + "\n";
  [[maybe_unused]] const ssize_t count = write(file, text.data(), text.size());
  close(file);
}

std::string HangFile::since(uint64_t bytes) const {
  const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  const auto all = bytes_in(file);
  std::string text(all > bytes ? std::min<size_t>(all - bytes, kMostBytes) : 0, '\0');
  const ssize_t count = pread(file, text.data(), text.size(), static_cast<off_t>(bytes));
  close(file);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

}  // namespace elbow::comm
