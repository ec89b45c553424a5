#include "trainer/weights_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

using elbow::tests::TemporaryDirectory;
using testing::AllOf;
using testing::HasSubstr;

std::vector<NamedTensor> some_tensors() {
  const auto values = at::arange(6, at::kDouble).mul(0.37).sub(1);
  return {{"encoder.layers.0.weight", values.to(at::kFloat).view({2, 3})},
          {"bytes", at::arange(5, at::kByte)},
          {"a \"quoted\" näme", values.view({3, 1, 2})},
          {"steps", at::full({}, std::numeric_limits<int64_t>::min(), at::kLong)},
          {"nothing", at::empty({0, 4}, at::kFloat)},
          {"half", values.to(at::kBFloat16)}};
}

void expect_same(const std::vector<NamedTensor>& actual, const std::vector<NamedTensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].first, expected[i].first);
    EXPECT_EQ(actual[i].second.scalar_type(), expected[i].second.scalar_type()) << actual[i].first;
    EXPECT_TRUE(at::equal(actual[i].second, expected[i].second)) << actual[i].first;
  }
}

// A file of this header and `data_bytes` zeros.
std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string text(8, '\0');
  std::memcpy(text.data(), &size, 8);
  return text + header + std::string(data_bytes, '\0');
}

std::string tensor_json(const std::string& name, const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

std::string complaint_about(const std::string& text) {
  const TemporaryDirectory folder;
  const auto path = folder.write("weights.safetensors", text);
  try {
    read_safetensors(path);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
    return error.what();
  }
  return "";
}

TEST(WeightsFile, ReturnsWhatWasWritten) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  write_safetensors(path, some_tensors(), {{"format", "pt"}, {"näme", "a\nb"}});
  const auto file = read_safetensors(path);
  expect_same(file.tensors, some_tensors());
  EXPECT_EQ(file.metadata, (WeightsMetadata{{"format", "pt"}, {"näme", "a\nb"}}));
}

TEST(WeightsFile, KeepsEveryBitOfNumbersThatAreNone) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  const auto bits = at::arange(-1, 3, at::kLong);
  write_safetensors(path, {{"w", bits.view(at::kDouble)}});
  EXPECT_TRUE(at::equal(read_safetensors(path).tensors.at(0).second.view(at::kLong), bits));
}

TEST(WeightsFile, StoresAViewAsItsElements) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  const auto whole = at::arange(12, at::kFloat).view({3, 4});
  write_safetensors(path, {{"transposed", whole.t()}, {"column", whole.select(1, 2)}});
  expect_same(read_safetensors(path).tensors,
              {{"transposed", whole.t().contiguous()}, {"column", whole.select(1, 2)}});
}

TEST(WeightsFile, HasTheDocumentedBytes) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  write_safetensors(path, {{"w", at::zeros({2}, at::kFloat)}});
  const auto header = "{" + tensor_json("w", "F32", "[2]", "[0,8]") + "}";
  const auto expected = file_of(header + std::string((8 - header.size() % 8) % 8, ' '), 8);
  const auto bytes = read_file(path);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), expected);
}

TEST(WeightsFile, ReplacesTheOldFileAndLeavesNoOther) {
  const TemporaryDirectory folder;
  const auto path = folder.write("weights.safetensors", std::string("old"));
  write_safetensors(path, some_tensors());
  EXPECT_EQ(read_safetensors(path).tensors.size(), some_tensors().size());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WeightsFile, LeavesNothingWhereItCannotWrite) {
  const TemporaryDirectory folder;
  const auto missing = folder.path() / "missing" / "weights.safetensors";
  EXPECT_THROW(write_safetensors(missing, some_tensors()), std::system_error);
  const auto occupied = folder.path() / "occupied";
  std::filesystem::create_directories(occupied / "by a folder");
  EXPECT_THROW(write_safetensors(occupied, some_tensors()), std::system_error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WeightsFile, RefusesNamesThatCannotBeStored) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  const auto w = at::zeros({1});
  EXPECT_THROW(write_safetensors(path, {{"w", w}, {"w", w}}), c10::Error);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", w}}), c10::Error);
  EXPECT_THROW(write_safetensors(path, {{"\xFF", w}}), c10::Error);
  EXPECT_THROW(write_safetensors(path, {{"w", w.to(at::kBool)}}), c10::Error);
}

// Python reads our file, compares it with numbers of its own, and writes one that we read.
TEST(WeightsFile, IsExchangedWithThePythonLibrary) {
  const char* python = std::getenv("ELBOW_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "ELBOW_PYTHON does not name a Python with safetensors";
  const TemporaryDirectory folder;
  const auto ours = folder.path() / "ours.safetensors";
  const auto theirs = folder.path() / "theirs.safetensors";
  write_safetensors(ours, some_tensors(), {{"format", "pt"}});
  const auto script = folder.write("exchange.py", std::string(R"(
import sys, torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
values = torch.arange(6, dtype=torch.float64) * 0.37 - 1
expected = {
    "encoder.layers.0.weight": values.float().view(2, 3), "bytes": torch.arange(5, dtype=torch.uint8),
    'a "quoted" näme': values.view(3, 1, 2), "steps": torch.tensor(-2**63), "nothing": torch.empty(0, 4),
    "half": values.bfloat16()}
loaded = load_file(sys.argv[1])
assert loaded.keys() == expected.keys(), loaded.keys()
for name, tensor in expected.items():
    assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name
assert safe_open(sys.argv[1], "pt").metadata() == {"format": "pt"}
save_file(expected, sys.argv[2], {"writer": "Python"})
)"));
  const auto command =
      fmt::format("'{}' '{}' '{}' '{}'", python, script.string(), ours.string(), theirs.string());
  ASSERT_EQ(std::system(command.c_str()), 0);
  auto file = read_safetensors(theirs);
  EXPECT_EQ(file.metadata, (WeightsMetadata{{"writer", "Python"}}));
  auto expected = some_tensors();
  const auto by_name = [](const NamedTensor& a, const NamedTensor& b) { return a.first < b.first; };
  std::sort(file.tensors.begin(), file.tensors.end(), by_name);
  std::sort(expected.begin(), expected.end(), by_name);
  expect_same(file.tensors, expected);
}

TEST(WeightsFile, RefusesAWrongHeaderSize) {
  EXPECT_THAT(complaint_about(""), HasSubstr("at byte 0: it ends inside the size of its header"));
  EXPECT_THAT(complaint_about("1234567"),
              HasSubstr("at byte 7: it ends inside the size of its header"));
  EXPECT_THAT(complaint_about(std::string(8, '\0')),
              HasSubstr("at byte 0: its header has 0 bytes"));
  EXPECT_THAT(
      complaint_about(std::string(8, '\xFF') + "{}"),
      HasSubstr(
          "at byte 0: its header has 18446744073709551615 bytes by its own account, and 2 follow"));
  EXPECT_THAT(complaint_about(file_of("{}      ", 0).substr(0, 15)),
              HasSubstr("8 bytes by its own account, and 7 follow"));
}

TEST(WeightsFile, RefusesAHeaderThatIsNotJson) {
  EXPECT_EQ(complaint_about(file_of("{}", 0)), "");
  EXPECT_THAT(complaint_about(file_of("{\"w\":", 0)),
              HasSubstr("at byte 13: its header is not JSON"));
  EXPECT_THAT(complaint_about(file_of("{\"\xFF\":1}", 0)),
              HasSubstr("at byte 10: its header is not JSON"));
  EXPECT_THAT(complaint_about(file_of("[]", 0)),
              HasSubstr("at byte 8: its header is not a JSON object"));
  EXPECT_THAT(complaint_about(file_of(std::string(100000, '['), 0)),
              HasSubstr("its header is not JSON"));
  EXPECT_THAT(complaint_about(file_of(R"({"a":{"dtype":"F32","shape":[1e400]}})", 0)),
              HasSubstr("at byte 8: its header has a number beyond the range"));
}

TEST(WeightsFile, RefusesAnEntryThatMakesNoSense) {
  const auto refusal = [](const std::string& entry, size_t data_bytes) {
    return complaint_about(file_of("{" + entry + "}", data_bytes));
  };
  EXPECT_EQ(refusal(tensor_json("w", "F32", "[2]", "[0,8]"), 8), "");
  EXPECT_THAT(refusal(R"("w":3)", 0), HasSubstr("at byte 9: tensor 'w' is not an object"));
  EXPECT_THAT(refusal(R"("w":{})", 0), HasSubstr("at byte 9: tensor 'w' has no dtype"));
  EXPECT_THAT(refusal(tensor_json("w", "F99", "[2]", "[0,8]"), 8),
              HasSubstr("tensor 'w' has dtype F99"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "2", "[0,8]"), 8),
              HasSubstr("tensor 'w' has no list 'shape'"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "[-2]", "[0,8]"), 8),
              HasSubstr("'shape' that is not a count"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "[2.0]", "[0,8]"), 8),
              HasSubstr("'shape' that is not a count"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "[3]", "[0,8]"), 8),
              HasSubstr("has 8 bytes of data"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "[4611686018427387904,4]", "[0,8]"), 8),
              HasSubstr("has a shape of more than 2^63 bytes"));
  EXPECT_THAT(refusal(tensor_json("w", "F32", "[18446744073709551615]", "[0,8]"), 8),
              HasSubstr("has a shape of more than 2^63 bytes"));
  for (const char* offsets : {"[0,9]", "[8,0]", "[0]", "[0,8,8]", "[0,18446744073709551615]"}) {
    EXPECT_THAT(refusal(tensor_json("w", "F32", "[2]", offsets), 8),
                HasSubstr("data_offsets outside the file's 8 bytes"));
  }
  EXPECT_THAT(refusal(R"("__metadata__":{"format":1})", 0),
              HasSubstr("'format' in the metadata is not text"));
}

TEST(WeightsFile, RefusesDoublesOverlapsGapsAndLeftovers) {
  const auto refusal = [](const std::string& first, const std::string& second, size_t data_bytes) {
    return complaint_about(file_of("{" + first + "," + second + "}", data_bytes));
  };
  const auto a = tensor_json("a", "F32", "[2]", "[0,8]");
  EXPECT_EQ(refusal(tensor_json("b", "F32", "[1]", "[8,12]"), a, 12), "");
  EXPECT_THAT(refusal(a, tensor_json("a", "F32", "[1]", "[8,12]"), 12),
              HasSubstr("tensor 'a' comes twice"));
  EXPECT_THAT(refusal(a, tensor_json("b", "F32", "[2]", "[4,12]"), 12),
              AllOf(HasSubstr(fmt::format("at byte {}: tensor 'b'", 8 + 1 + a.size() + 1)),
                    HasSubstr("an overlap")));
  EXPECT_THAT(refusal(a, tensor_json("b", "F32", "[1]", "[12,16]"), 16), HasSubstr("a gap"));
  const auto b = tensor_json("b", "F32", "[1]", "[8,12]");
  EXPECT_THAT(refusal(a, b, 13), HasSubstr(fmt::format("at byte {}: 1 bytes belong to no tensor",
                                                       8 + a.size() + b.size() + 3 + 12)));
}

TEST(WeightsFile, SurvivesEveryTruncationAndEveryChangedByteOfItsHeader) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "weights.safetensors";
  write_safetensors(path, some_tensors());
  const auto bytes = read_file(path);
  const std::string good(bytes.begin(), bytes.end());
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_THAT(complaint_about(good.substr(0, length)), HasSubstr("at byte "));
  }
  uint64_t header_size;
  std::memcpy(&header_size, good.data(), 8);
  for (size_t offset = 0; offset < 8 + header_size; ++offset) {
    for (const char flip : {'\x01', '\x10', '\xFF'}) {
      auto damaged = good;
      damaged[offset] = static_cast<char>(damaged[offset] ^ flip);
      complaint_about(damaged);  // a name may survive with another letter; nothing may crash or
                                 // escape as another error
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
