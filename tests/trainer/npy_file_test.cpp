#include "trainer/npy_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::TemporaryDirectory;

// A file of version 1.0 with this header and so many zeros.
std::string file_of(std::string header, size_t data_bytes) {
  std::string text = "\x93NUMPY";
  text += {'\x01', '\x00', static_cast<char>(header.size()), '\x00'};
  return text + header + std::string(data_bytes, '\0');
}

std::string complaint_about(const std::string& text) {
  const TemporaryDirectory folder;
  const auto file = folder.write("a.npy", text);
  try {
    read_npy(file);
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(NpyFile, GivesBackWhatWasWritten) {
  const TemporaryDirectory folder;
  const auto numbers = at::arange(24, at::kDouble).mul(0.37).sub(3);
  for (const auto& values :
       {numbers.to(at::kFloat).view({2, 3, 4}), numbers, numbers.view({4, 6}).t(),
        at::arange(5, at::kByte), at::full({}, std::numeric_limits<int64_t>::min(), at::kLong),
        at::empty({0, 2, 7}), at::full({2}, std::numeric_limits<float>::quiet_NaN())}) {
    write_npy(folder.path() / "a.npy", values);
    const auto back = read_npy(folder.path() / "a.npy");
    EXPECT_EQ(back.scalar_type(), values.scalar_type());
    EXPECT_EQ(back.sizes(), values.sizes());
    EXPECT_TRUE(at::equal(back.nan_to_num(7), values.nan_to_num(7)));
  }
}

TEST(NpyFile, HasTheBytesThatNumPyWrites) {
  // numpy.save of numpy.zeros((2, 1), "<f4"): the header is padded to 128 bytes in all.
  const TemporaryDirectory folder;
  write_npy(folder.path() / "a.npy", at::zeros({2, 1}));
  const auto bytes = read_file(folder.path() / "a.npy");
  const std::string text(bytes.begin(), bytes.end());
  EXPECT_EQ(text.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(text.substr(10, 60), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), } ");
  EXPECT_EQ(text.size(), 128u + 8u);
  EXPECT_EQ(text[127], '\n');
}

TEST(NpyFile, ReadsKeysInAnyOrderAndWithoutPadding) {
  const TemporaryDirectory folder;
  const auto file =
      folder.write("a.npy", file_of(R"({"shape":(3,),"descr":"|u1","fortran_order":False})", 3));
  EXPECT_EQ(read_npy(file).sizes(), at::IntArrayRef({3}));
}

TEST(NpyFile, RefusesWhatIsDamagedOrOfAnotherKindWithTheByte) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  EXPECT_EQ(complaint_about(file_of(good, 12)), "no error");
  EXPECT_THAT(complaint_about(""), AllOf(HasSubstr("a.npy"), HasSubstr("byte 0")));
  EXPECT_THAT(complaint_about("PK\x03\x04 an archive"), HasSubstr("does not begin as one"));
  EXPECT_THAT(complaint_about(file_of(good, 11)), HasSubstr("needs 12 bytes of numbers, and 11"));
  EXPECT_THAT(complaint_about(file_of(good, 13)), HasSubstr("and 13 are there"));
  const auto changed = [&](const std::string& from, const std::string& to) {
    auto header = good;
    header.replace(header.find(from), from.size(), to);
    return complaint_about(file_of(header, 12));
  };
  EXPECT_THAT(changed("False", "True"), HasSubstr("not in C order"));
  EXPECT_THAT(changed("<f4", ">f4"), HasSubstr("'>f4' is not read"));
  EXPECT_THAT(changed("<f4", "|O"), HasSubstr("'|O' is not read"));
  EXPECT_THAT(changed("(3,)", "(-3,)"), HasSubstr("not a list of sizes"));
  EXPECT_THAT(changed("(3,)", "(9999999999,9999999999)"), HasSubstr("too large"));
  EXPECT_THAT(changed("'shape': (3,), ", ""), HasSubstr("lacks"));
  EXPECT_THAT(changed("descr", "other"), HasSubstr("unknown key 'other'"));
}

}  // namespace
}  // namespace elbow::trainer
