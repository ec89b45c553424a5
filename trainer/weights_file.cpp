#include "trainer/weights_file.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>

#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors stores little-endian numbers");

constexpr uint64_t kSizeBytes = 8;                // the header's size, before the header
constexpr uint64_t kMaximumHeader = 100'000'000;  // what the Python library accepts
constexpr const char* kMetadata = "__metadata__";

struct StoredType {
  at::ScalarType type;
  const char* name;
};

constexpr std::array<StoredType, 5> kStoredTypes = {{{at::kFloat, "F32"},
                                                     {at::kDouble, "F64"},
                                                     {at::kByte, "U8"},
                                                     {at::kLong, "I64"},
                                                     {at::kBFloat16, "BF16"}}};

const char* stored_name(const NamedTensor& tensor) {
  for (const auto& stored : kStoredTypes) {
    if (stored.type == tensor.second.scalar_type()) return stored.name;
  }
  TORCH_CHECK(false, "write_safetensors: ", tensor.first,
              " has a dtype without a place in the file");
}

std::optional<at::ScalarType> type_named(const std::string& name) {
  for (const auto& stored : kStoredTypes) {
    if (name == stored.name) return stored.type;
  }
  return std::nullopt;
}

std::span<uint8_t> bytes_of(const at::Tensor& tensor) {
  return {static_cast<uint8_t*>(tensor.data_ptr()), tensor.nbytes()};
}

// --- Writing
// ---------------------------------------------------------------------------------------------------------

std::string header_of(const std::vector<NamedTensor>& tensors, const WeightsMetadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t end = 0;
  for (const auto& tensor : tensors) {
    const auto& [name, values] = tensor;
    TORCH_CHECK(name != kMetadata && !header.contains(name), "write_safetensors: the name ", name,
                " comes twice");
    const uint64_t begin = end;
    end += values.nbytes();
    header[name] = {{"dtype", stored_name(tensor)},
                    {"shape", values.sizes().vec()},
                    {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::type_error& error) {
    TORCH_CHECK(false, "write_safetensors: a name is not UTF-8: ", error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

// --- Reading
// ---------------------------------------------------------------------------------------------------------

// One file while it is checked: knows where the header's words stand, for the sentences.
class Reader {
 public:
  Reader(std::span<const uint8_t> stored, const std::string& file) : file_(file), stored_(stored) {}

  WeightsFile read() {
    check_header_size();
    const auto header = parsed_header();
    WeightsFile result;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata) {
        result.metadata = metadata_of(value);
      } else {
        entries_.push_back(entry_of(name, value));
      }
    }
    check_layout();
    for (const Entry& entry : entries_) result.tensors.emplace_back(entry.name, tensor_of(entry));
    return result;
  }

 private:
  struct Entry {
    std::string name;
    at::ScalarType type;
    std::vector<int64_t> shape;
    uint64_t begin;  // counted from the end of the header
    uint64_t end;
  };

  [[noreturn]] void fail(uint64_t offset, const std::string& why) const {
    throw DataError(
        fmt::format("{} is not a usable safetensors file, at byte {}: {}; use an undamaged copy",
                    file_, offset, why));
  }

  // Where the header speaks of `name`; its beginning where the name is written with escapes.
  [[noreturn]] void fail_at(const std::string& name, const std::string& why) const {
    const size_t place = header_text().find('"' + name + '"');
    fail(kSizeBytes + (place == std::string_view::npos ? 0 : place),
         fmt::format("tensor '{}' {}", name, why));
  }

  std::string_view header_text() const {
    return {reinterpret_cast<const char*>(stored_.data()) + kSizeBytes,
            static_cast<size_t>(header_size_)};
  }
  uint64_t data_begin() const { return kSizeBytes + header_size_; }
  uint64_t data_size() const { return stored_.size() - data_begin(); }

  void check_header_size() {
    if (stored_.size() < kSizeBytes) fail(stored_.size(), "it ends inside the size of its header");
    std::memcpy(&header_size_, stored_.data(), kSizeBytes);
    const uint64_t rest = stored_.size() - kSizeBytes;
    if (header_size_ < 2 || header_size_ > std::min(rest, kMaximumHeader)) {
      fail(0, fmt::format("its header has {} bytes by its own account, and {} follow", header_size_,
                          rest));
    }
  }

  nlohmann::ordered_json parsed_header() const {
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto refuse_doubles = [&](int, nlohmann::ordered_json::parse_event_t event,
                                    nlohmann::ordered_json& value) {
      using Event = nlohmann::ordered_json::parse_event_t;
      if (event == Event::object_start) keys.emplace_back();
      if (event == Event::object_end) keys.pop_back();
      if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
        fail_at(value.get<std::string>(), "comes twice in its header");
      }
      return true;
    };
    try {
      auto header = nlohmann::ordered_json::parse(header_text(), refuse_doubles);
      if (!header.is_object()) fail(kSizeBytes, "its header is not a JSON object");
      return header;
    } catch (const nlohmann::json::parse_error& error) {
      fail(kSizeBytes + (error.byte > 0 ? error.byte - 1 : 0), "its header is not JSON");
    } catch (const nlohmann::json::out_of_range&) {
      fail(kSizeBytes, "its header has a number beyond the range of any type");
    }
  }

  WeightsMetadata metadata_of(const nlohmann::ordered_json& value) const {
    WeightsMetadata metadata;
    if (!value.is_object()) fail_at(kMetadata, "is not an object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail_at(key, "in the metadata is not text");
      metadata[key] = text.get<std::string>();
    }
    return metadata;
  }

  // The unsigned integers of value[key].
  std::vector<uint64_t> numbers(const std::string& name, const nlohmann::ordered_json& value,
                                const char* key) const {
    std::vector<uint64_t> result;
    if (!value.contains(key) || !value[key].is_array())
      fail_at(name, fmt::format("has no list '{}'", key));
    for (const auto& number : value[key]) {
      if (!number.is_number_unsigned())
        fail_at(name, fmt::format("has a '{}' that is not a count", key));
      result.push_back(number.get<uint64_t>());
    }
    return result;
  }

  Entry entry_of(const std::string& name, const nlohmann::ordered_json& value) const {
    if (!value.is_object()) fail_at(name, "is not an object");
    if (!value.contains("dtype") || !value["dtype"].is_string()) fail_at(name, "has no dtype");
    const auto dtype = value["dtype"].get<std::string>();
    const auto type = type_named(dtype);
    if (!type)
      fail_at(name, fmt::format("has dtype {}; known are F32, F64, U8, I64 and BF16", dtype));
    const auto shape = numbers(name, value, "shape");
    const auto offsets = numbers(name, value, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_size()) {
      fail_at(name,
              fmt::format("has data_offsets outside the file's {} bytes of data", data_size()));
    }
    const uint64_t bytes = offsets[1] - offsets[0];
    if (byte_count(name, shape, at::elementSize(*type)) != bytes) {
      fail_at(name, fmt::format("has {} bytes of data, which its shape does not need", bytes));
    }
    return {name, *type, {shape.begin(), shape.end()}, offsets[0], offsets[1]};
  }

  uint64_t byte_count(const std::string& name, const std::vector<uint64_t>& shape,
                      size_t element_bytes) const {
    auto count = static_cast<int64_t>(element_bytes);
    bool overflows = false;
    for (const uint64_t size : shape) {
      overflows |=
          size > INT64_MAX || __builtin_mul_overflow(count, static_cast<int64_t>(size), &count);
    }
    if (overflows) fail_at(name, "has a shape of more than 2^63 bytes");
    return static_cast<uint64_t>(count);
  }

  // Sorted by place, each tensor begins where the one before ends, and the last ends with the file.
  void check_layout() {
    std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    uint64_t end = 0;
    for (const Entry& entry : entries_) {
      if (entry.begin != end) {
        fail_at(entry.name,
                fmt::format("begins at byte {} of the data and not at {}: there is {}", entry.begin,
                            end, entry.begin < end ? "an overlap" : "a gap"));
      }
      end = entry.end;
    }
    if (end != data_size())
      fail(data_begin() + end, fmt::format("{} bytes belong to no tensor", data_size() - end));
  }

  at::Tensor tensor_of(const Entry& entry) const {
    auto tensor = at::empty(entry.shape, entry.type);
    const auto bytes = bytes_of(tensor);
    if (!bytes.empty())
      std::memcpy(bytes.data(), stored_.data() + data_begin() + entry.begin, bytes.size());
    return tensor;
  }

  const std::string& file_;
  const std::span<const uint8_t> stored_;
  uint64_t header_size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace

std::vector<uint8_t> safetensors_bytes(const std::vector<NamedTensor>& tensors,
                                       const WeightsMetadata& metadata) {
  const std::string header = header_of(tensors, metadata);
  const uint64_t header_size = header.size();
  std::vector<uint8_t> bytes;
  size_t data = 0;
  for (const auto& [name, values] : tensors) data += values.nbytes();
  bytes.reserve(kSizeBytes + header.size() + data);
  const auto add = [&](std::span<const uint8_t> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  };
  add({reinterpret_cast<const uint8_t*>(&header_size), kSizeBytes});
  add({reinterpret_cast<const uint8_t*>(header.data()), header.size()});
  for (const auto& [name, values] : tensors) add(bytes_of(values.detach().cpu().contiguous()));
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const WeightsMetadata& metadata) {
  const auto bytes = safetensors_bytes(tensors, metadata);
  const std::span<const uint8_t> whole(bytes);
  replace_file(path, std::span(&whole, 1));
}

WeightsFile read_safetensors(const std::filesystem::path& path) {
  return parse_safetensors(read_file(path), path.string());
}

WeightsFile parse_safetensors(std::span<const uint8_t> stored, const std::string& file) {
  return Reader(stored, file).read();
}

}  // namespace elbow::trainer
