#include "trainer/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace elbow::trainer {
namespace {

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : number_(open(path.c_str(), flags, 0644)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }

  bool is_open() const { return number_ >= 0; }
  bool write_all(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = write(number_, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      text.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  bool sync() const { return fsync(number_) == 0; }

 private:
  int number_;
};

bool write_and_sync(const std::filesystem::path& file, std::string_view text) {
  const Descriptor descriptor(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  return descriptor.is_open() && descriptor.write_all(text) && descriptor.sync();
}

}  // namespace

void write_file_atomically(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::path temporary = file;
  temporary += fmt::format(".{}.tmp", getpid());
  if (!write_and_sync(temporary, text) || rename(temporary.c_str(), file.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    throw std::runtime_error(fmt::format("cannot write {}: {}", file.string(), std::strerror(error)));
  }
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const Descriptor parent(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!parent.is_open() || !parent.sync()) {
    throw std::runtime_error(
        fmt::format("cannot sync the folder {}: {}", folder.string(), std::strerror(errno)));
  }
}

}  // namespace elbow::trainer
