#include "trainer/idx.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/sha256.h"

namespace elbow::trainer {
namespace {

constexpr uint8_t kUnsignedByte = 0x08;
constexpr int kMaximumDimensions = 3;
constexpr uint64_t kDeflateLimit =
    1032;  // no deflate stream unpacks to more than this many times its size

[[noreturn]] void fail(const std::string& file, uint64_t offset, const std::string& why,
                       const char* remedy) {
  throw DataError(
      fmt::format("{} is not a usable IDX file, at byte {}: {}; {}", file, offset, why, remedy));
}

constexpr const char* kFetchAgain = "copy or download the file again";
constexpr const char* kGiveIdx =
    "give an IDX file of unsigned bytes with 1 to 3 dimensions, plain or gzip";

// The unpacked bytes, front to back.
class Source {
 public:
  virtual ~Source() = default;
  virtual size_t read(std::span<uint8_t> out) = 0;  // fewer than asked for only at the end
  virtual uint64_t limit() const = 0;               // no more bytes than this can come
};

class PlainSource final : public Source {
 public:
  explicit PlainSource(std::span<const uint8_t> stored) : PlainSource(stored, stored.size()) {}
  // stored: the beginning of `limit` bytes.
  PlainSource(std::span<const uint8_t> stored, uint64_t limit) : rest_(stored), limit_(limit) {}

  size_t read(std::span<uint8_t> out) override {
    const size_t count = std::min(out.size(), rest_.size());
    if (count > 0) std::memcpy(out.data(), rest_.data(), count);
    rest_ = rest_.subspan(count);
    return count;
  }
  uint64_t limit() const override { return limit_; }

 private:
  std::span<const uint8_t> rest_;
  uint64_t limit_;
};

class GzipSource final : public Source {
 public:
  GzipSource(std::span<const uint8_t> stored, const std::string& file)
      : stored_(stored), file_(file) {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, kGzipOnly + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  size_t read(std::span<uint8_t> out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      if (at_member_end_ && !start_next_member()) break;
      filled += inflate_some(out.subspan(filled));
    }
    return filled;
  }
  uint64_t limit() const override { return stored_.size() * kDeflateLimit; }

 private:
  // A gzip file is a row of members; what follows the last one must be nothing.
  bool start_next_member() {
    if (consumed_ == stored_.size()) return false;
    inflateReset(&stream_);
    at_member_end_ = false;
    return true;
  }

  size_t inflate_some(std::span<uint8_t> out) {
    constexpr size_t kLongest = std::numeric_limits<uInt>::max();
    const size_t offered = std::min(stored_.size() - consumed_, kLongest);
    const size_t wanted = std::min(out.size(), kLongest);
    stream_.next_in = const_cast<Bytef*>(stored_.data() + consumed_);
    stream_.avail_in = static_cast<uInt>(offered);
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(wanted);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    consumed_ += offered - stream_.avail_in;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END) fail_as(result);
    at_member_end_ = result == Z_STREAM_END;
    return wanted - stream_.avail_out;
  }

  [[noreturn]] void fail_as(int result) const {
    if (result == Z_BUF_ERROR)
      fail(file_, consumed_, "the gzip stream ends too early", kFetchAgain);
    const char* why = stream_.msg != nullptr ? stream_.msg : "damaged stream";
    fail(file_, consumed_, fmt::format("gzip damage ({})", why), kFetchAgain);
  }

  std::span<const uint8_t> stored_;
  const std::string& file_;
  z_stream stream_{};
  size_t consumed_ = 0;
  bool at_member_end_ = false;
};

void check_magic(const std::array<uint8_t, 4>& magic, const std::string& file) {
  const auto [zero0, zero1, type, dimensions] = magic;
  if (zero0 != 0 || zero1 != 0) {
    fail(file, 0, fmt::format("it begins with {:02x} {:02x} and not with 00 00", zero0, zero1),
         kGiveIdx);
  }
  if (type != kUnsignedByte) {
    fail(file, 2, fmt::format("its element type is 0x{:02x} and not 0x08, unsigned bytes", type),
         kGiveIdx);
  }
  if (dimensions < 1 || dimensions > kMaximumDimensions) {
    fail(file, 3, fmt::format("it has {} dimensions", dimensions), kGiveIdx);
  }
}

void read_header(Source& source, std::span<uint8_t> out, uint64_t offset, const std::string& file) {
  const size_t count = source.read(out);
  if (count == out.size()) return;
  const char* why = offset + count == 0 ? "it is empty" : "it ends inside its header";
  fail(file, offset + count, why, kFetchAgain);
}

std::vector<int64_t> read_shape(Source& source, size_t dimensions, const std::string& file) {
  std::array<uint8_t, 4 * kMaximumDimensions> sizes;
  read_header(source, std::span(sizes).first(4 * dimensions), 4, file);
  std::vector<int64_t> shape;
  for (size_t i = 0; i < dimensions; ++i) {
    const uint8_t* size = &sizes[4 * i];
    shape.push_back(int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
    if (shape.back() == 0) {
      fail(file, 4 + 4 * i, i == 0 ? "it holds zero examples" : "one of its sizes is zero",
           "give a file with at least one example");
    }
  }
  return shape;
}

// The product of the sizes, which must fit into what `limit` bytes can hold after a header of
// `header` bytes.
int64_t checked_count(const std::vector<int64_t>& shape, uint64_t header, uint64_t limit,
                      const std::string& file) {
  int64_t count = 1;
  bool overflows = false;
  for (const int64_t size : shape) overflows |= __builtin_mul_overflow(count, size, &count);
  if (overflows || static_cast<uint64_t>(count) > limit - header) {
    fail(
        file, 4,
        fmt::format("its sizes {} promise {} bytes, but at most {} follow", fmt::join(shape, " x "),
                    overflows ? "more than 2^63" : fmt::to_string(count), limit - header),
        kFetchAgain);
  }
  return count;
}

struct Promise {
  std::vector<int64_t> shape;
  uint64_t header;  // bytes
  int64_t count;    // of elements
};

Promise read_promise(Source& source, const std::string& file) {
  std::array<uint8_t, 4> magic;
  read_header(source, magic, 0, file);
  check_magic(magic, file);
  auto shape = read_shape(source, magic[3], file);
  const uint64_t header = 4 + 4 * shape.size();
  const int64_t count = checked_count(shape, header, source.limit(), file);
  return {std::move(shape), header, count};
}

[[noreturn]] void fail_at_excess(const Promise& promise, const std::string& file) {
  fail(file, promise.header + static_cast<uint64_t>(promise.count),
       fmt::format("bytes follow the {} that its sizes promise", promise.count), kFetchAgain);
}

IdxArray parse(Source& source, const std::string& file) {
  const Promise promise = read_promise(source, file);
  const auto& [shape, header, count] = promise;
  IdxArray array;
  array.shape = shape;
  array.bytes = at::empty(array.shape, at::kByte);
  const size_t filled =
      source.read({array.bytes.mutable_data_ptr<uint8_t>(), static_cast<size_t>(count)});
  if (filled < static_cast<size_t>(count)) {
    fail(file, header + filled,
         fmt::format("it ends here, but its sizes {} promise {} bytes more",
                     fmt::join(array.shape, " x "), static_cast<size_t>(count) - filled),
         kFetchAgain);
  }
  // Also lets gzip reach its end, where it checks the sum.
  std::array<uint8_t, 1> excess;
  if (source.read(excess) != 0) fail_at_excess(promise, file);
  return array;
}

}  // namespace

bool is_packed_idx(std::span<const uint8_t> beginning) {
  return beginning.size() >= 2 && beginning[0] == 0x1F && beginning[1] == 0x8B;
}

IdxHeader parse_idx_header(std::span<const uint8_t> beginning, uint64_t file_bytes,
                           const std::string& file) {
  PlainSource source(beginning, file_bytes);
  const Promise promise = read_promise(source, file);
  if (file_bytes - promise.header > static_cast<uint64_t>(promise.count))
    fail_at_excess(promise, file);
  return {promise.shape, static_cast<int64_t>(promise.header)};
}

IdxArray parse_idx(std::span<const uint8_t> stored, const std::string& file) {
  IdxArray array;
  if (is_packed_idx(stored)) {
    GzipSource source(stored, file);
    array = parse(source, file);
  } else {
    PlainSource source(stored);
    array = parse(source, file);
  }
  array.sha256 = sha256(stored);
  return array;
}

IdxArray read_idx(const std::filesystem::path& path) {
  return parse_idx(read_file(path), path.string());
}

std::string sha256_unpacked(const IdxArray& array) {
  std::vector<uint8_t> header = {0, 0, kUnsignedByte, static_cast<uint8_t>(array.shape.size())};
  for (const int64_t size : array.shape) {
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<uint8_t>(size >> shift));
  }
  Sha256 hash;
  hash.add(header);
  hash.add({array.bytes.const_data_ptr<uint8_t>(), static_cast<size_t>(array.bytes.numel())});
  return hash.finish();
}

}  // namespace elbow::trainer
