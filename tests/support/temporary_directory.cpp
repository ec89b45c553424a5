#include "tests/support/temporary_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace elbow::tests {

TemporaryDirectory::TemporaryDirectory() {
  auto pattern = (std::filesystem::temp_directory_path() / "elbow_test_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "cannot make " + pattern);
  }
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryDirectory::write(const std::string& name,
                                                std::span<const uint8_t> bytes) const {
  return write(name, std::string(bytes.begin(), bytes.end()));
}

std::filesystem::path TemporaryDirectory::write(const std::string& name,
                                                const std::string& text) const {
  const auto file = path_ / name;
  std::ofstream stream(file, std::ios::binary);
  stream.exceptions(std::ios::badbit | std::ios::failbit);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  stream.close();
  return file;
}

}  // namespace elbow::tests
