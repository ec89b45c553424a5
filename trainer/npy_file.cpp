#include "trainer/npy_file.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

static_assert(std::endian::native == std::endian::little, "'<' is little-endian");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kFirstHeader = 10;  // magic, version and the size of the header, in version 1
constexpr uint64_t kLargestHeader = 65'536;
constexpr size_t kMostDimensions = 32;

struct StoredType {
  at::ScalarType type;
  std::string_view name;
};

constexpr std::array<StoredType, 4> kStoredTypes = {
    {{at::kFloat, "<f4"}, {at::kDouble, "<f8"}, {at::kLong, "<i8"}, {at::kByte, "|u1"}}};

std::string header_of(const at::Tensor& values) {
  const auto* stored = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                    [&](const auto& s) { return s.type == values.scalar_type(); });
  TORCH_CHECK(stored != kStoredTypes.end(), "write_npy: a dtype without a place in the file");
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", stored->name,
                  fmt::join(values.sizes(), ", "), values.dim() == 1 ? "," : "");
  text.resize((kFirstHeader + text.size() + 1 + 63) / 64 * 64 - kFirstHeader, ' ');
  text.back() = '\n';
  return text;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The header's dictionary, read word by word; NumPy writes its three keys in this order, and others
// may not.
class Reader {
 public:
  Reader(std::span<const uint8_t> stored, const std::string& file) : stored_(stored), file_(file) {}

  at::Tensor read() {
    find_header();
    read_dictionary();
    const uint64_t data = stored_.size() - end_;
    const uint64_t needed = count_ * at::elementSize(type_);
    if (data != needed) {
      fail(end_, fmt::format("its shape ({}) needs {} bytes of numbers, and {} are there",
                             fmt::join(shape_, ", "), needed, data));
    }
    auto values = at::empty(shape_, type_);
    if (needed > 0) std::memcpy(values.data_ptr(), stored_.data() + end_, needed);
    return values;
  }

 private:
  [[noreturn]] void fail(uint64_t offset, const std::string& why) const {
    throw DataError(fmt::format(
        "{} is not a usable .npy file, at byte {}: {}; use an undamaged file in C order of "
        "float32, float64, int64 or uint8",
        file_, offset, why));
  }

  void find_header() {
    if (stored_.size() < kFirstHeader ||
        !std::equal(kMagic.begin(), kMagic.end(), stored_.begin(),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; })) {
      fail(0, "it does not begin as one");
    }
    const int version = stored_[6];
    if (version < 1 || version > 3) fail(6, fmt::format("its version {} is not known", version));
    const uint64_t size_bytes = version == 1 ? 2 : 4;
    at_ = 8 + size_bytes;
    if (stored_.size() < at_) fail(8, "it ends within the header");
    uint32_t size = 0;
    std::memcpy(&size, stored_.data() + 8, size_bytes);
    end_ = at_ + size;
    if (size > kLargestHeader || end_ > stored_.size())
      fail(8, fmt::format("its header of {} bytes does not fit", size));
  }

  void read_dictionary() {
    take('{');
    std::vector<std::string> keys;
    while (next() != '}') {
      const auto key = quoted();
      if (std::find(keys.begin(), keys.end(), key) != keys.end())
        fail(at_, fmt::format("its header has '{}' twice", key));
      take(':');
      read_value(key);
      keys.push_back(key);
      if (next() == ',') take(',');
    }
    take('}');
    if (next() != '\0') fail(at_, "its header goes on after the dictionary");
    if (keys.size() != 3) fail(at_, "its header lacks descr, fortran_order or shape");
  }

  void read_value(const std::string& key) {
    if (key == "descr") {
      type_ = type_named(quoted());
    } else if (key == "fortran_order") {
      if (word() != "False") fail(at_, "its numbers are not in C order");
    } else if (key == "shape") {
      read_shape();
    } else {
      fail(at_, fmt::format("its header has an unknown key '{}'", key));
    }
  }

  void read_shape() {
    take('(');
    while (next() != ')') {
      const auto digits = word();
      int64_t size = 0;
      const auto [rest, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), size);
      if (error != std::errc() || rest != digits.data() + digits.size() || size < 0)
        fail(at_, "its shape is not a list of sizes");
      // A bound far above any file keeps the product from overflowing.
      constexpr uint64_t kMost = uint64_t{1} << 48;
      if (size > 0 && count_ > kMost / static_cast<uint64_t>(size))
        fail(at_, "its shape is too large");
      count_ *= static_cast<uint64_t>(size);
      shape_.push_back(size);
      if (shape_.size() > kMostDimensions) fail(at_, "it has too many dimensions");
      if (next() == ',') take(',');
    }
    take(')');
  }

  at::ScalarType type_named(const std::string& name) const {
    for (const auto& stored : kStoredTypes)
      if (stored.name == name) return stored.type;
    fail(at_, fmt::format("its dtype '{}' is not read", name));
  }

  // The next character that is no space; 0 at the header's end.
  char next() {
    while (at_ < end_ && std::strchr(" \n", stored_[at_]) != nullptr && stored_[at_] != 0) ++at_;
    return at_ < end_ ? static_cast<char>(stored_[at_]) : '\0';
  }
  void take(char expected) {
    if (next() != expected || expected == '\0')
      fail(at_, fmt::format("its header lacks a '{}' here", expected));
    ++at_;
  }
  std::string quoted() {
    const char quote = next();
    if (quote != '\'' && quote != '"') fail(at_, "its header lacks a quoted word here");
    const uint64_t begin = ++at_;
    while (at_ < end_ && static_cast<char>(stored_[at_]) != quote) ++at_;
    if (at_ == end_) fail(begin, "a quoted word of its header does not end");
    return {reinterpret_cast<const char*>(stored_.data()) + begin, at_++ - begin};
  }
  std::string_view word() {
    next();
    const uint64_t begin = at_;
    while (at_ < end_ && std::isalnum(stored_[at_]) != 0) ++at_;
    return {reinterpret_cast<const char*>(stored_.data()) + begin, at_ - begin};
  }

  std::span<const uint8_t> stored_;
  const std::string& file_;
  uint64_t at_ = 0;   // within the header
  uint64_t end_ = 0;  // of the header
  at::ScalarType type_ = at::kFloat;
  std::vector<int64_t> shape_;
  uint64_t count_ = 1;
};

}  // namespace

void write_npy(const std::filesystem::path& path, const at::Tensor& values) {
  const auto plain = values.detach().cpu().contiguous();
  const auto header = header_of(plain);
  std::string start(kMagic);
  start += {'\x01', '\x00', static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  const std::array pieces = {
      bytes_of(start), bytes_of(header),
      std::span<const uint8_t>(static_cast<const uint8_t*>(plain.data_ptr()), plain.nbytes())};
  replace_file(path, pieces);
}

at::Tensor parse_npy(std::span<const uint8_t> stored, const std::string& file) {
  return Reader(stored, file).read();
}

at::Tensor read_npy(const std::filesystem::path& path) {
  const auto stored = read_file(path);
  return parse_npy(stored, path.string());
}

}  // namespace elbow::trainer
