// IDX files made in memory, whole or broken on purpose.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace elbow::tests {

using Bytes = std::vector<uint8_t>;

Bytes idx_header(const std::vector<uint32_t>& shape);

// A file of that shape whose bytes count up from 0, modulo 251.
Bytes idx_file(const std::vector<uint32_t>& shape);

Bytes gzip(std::span<const uint8_t> bytes);  // one member
Bytes first(const Bytes& bytes, size_t count);

}  // namespace elbow::tests
