#include "tests/support/idx_bytes.h"

#include <zlib.h>

#include <stdexcept>

namespace elbow::tests {

Bytes idx_header(const std::vector<uint32_t>& shape) {
  Bytes bytes = {0, 0, 8, static_cast<uint8_t>(shape.size())};
  for (const uint32_t size : shape) {
    for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<uint8_t>(size >> shift));
  }
  return bytes;
}

Bytes idx_file(const std::vector<uint32_t>& shape) {
  auto bytes = idx_header(shape);
  size_t count = 1;
  for (const uint32_t size : shape) count *= size;
  for (size_t i = 0; i < count; ++i) bytes.push_back(static_cast<uint8_t>(i % 251));
  return bytes;
}

Bytes gzip(std::span<const uint8_t> bytes) {
  z_stream stream{};
  constexpr int kGzip = 16;
  if (deflateInit2(&stream, 9, Z_DEFLATED, kGzip + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  Bytes packed(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("deflate failed");
  return packed;
}

Bytes first(const Bytes& bytes, size_t count) {
  return Bytes(bytes.begin(), bytes.begin() + count);
}

}  // namespace elbow::tests
