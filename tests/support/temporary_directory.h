// A new folder for one test, removed with all it holds when the test ends. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace elbow::tests {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  const std::filesystem::path& path() const { return path_; }

  // Writes a file of this folder and returns its path.
  std::filesystem::path write(const std::string& name, std::span<const uint8_t> bytes) const;
  std::filesystem::path write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& file);  // "" where there is none

}  // namespace elbow::tests
