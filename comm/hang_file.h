// RUN/hangs.txt, where the guards of all hosts say which ranks do not get on: lines, appended. What
// cannot be written or read is as if it were not there. Any process.
#pragma once

#include <cstdint>
#include <string>

namespace elbow::comm {

class HangFile {
 public:
  explicit HangFile(const std::string& folder);  // "": none

  uint64_t bytes() const;
  void append(const std::string& line) const;
  // What was appended after the first `bytes`, or the beginning of it.
  std::string since(uint64_t bytes) const;

 private:
  std::string path_;
};

}  // namespace elbow::comm
