// SHA-256 of bytes that come in pieces, as 64 lower-case hexadecimal digits. One object, one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace elbow::trainer {

class Sha256 {
 public:
  Sha256();
  void add(std::span<const uint8_t> bytes);
  std::string finish();  // once, at the end

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256(std::span<const uint8_t> bytes);

}  // namespace elbow::trainer
