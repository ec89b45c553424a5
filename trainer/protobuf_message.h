// One Protocol Buffers message, written field by field in the wire format
// (protobuf.dev/programming-guides/encoding). Only what TensorBoard's messages need: libtorch
// exports protobuf's symbols, and a second version of the library in one program would clash.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace elbow::trainer {

class ProtobufMessage {
 public:
  // int32, int64, uint64, bool and enum fields; a negative number takes ten bytes, as it must.
  ProtobufMessage& integer(uint32_t field, int64_t value) {
    varint(uint64_t{field} << 3 | 0);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  ProtobufMessage& real(uint32_t field, double value) {
    varint(uint64_t{field} << 3 | 1);
    fixed(std::bit_cast<uint64_t>(value));
    return *this;
  }
  ProtobufMessage& single(uint32_t field, float value) {
    varint(uint64_t{field} << 3 | 5);
    fixed(std::bit_cast<uint32_t>(value));
    return *this;
  }
  // string and bytes fields.
  ProtobufMessage& text(uint32_t field, std::string_view bytes) {
    varint(uint64_t{field} << 3 | 2);
    varint(bytes.size());
    bytes_ += bytes;
    return *this;
  }
  ProtobufMessage& message(uint32_t field, const ProtobufMessage& inner) {
    return text(field, inner.bytes_);
  }
  // A repeated double, packed.
  ProtobufMessage& reals(uint32_t field, const std::vector<double>& values) {
    ProtobufMessage packed;
    for (const double value : values) packed.fixed(std::bit_cast<uint64_t>(value));
    return message(field, packed);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  template <class Word>
  void fixed(Word word) {
    for (size_t i = 0; i < sizeof word; ++i) bytes_ += static_cast<char>(word >> (8 * i));
  }

  std::string bytes_;
};

}  // namespace elbow::trainer
