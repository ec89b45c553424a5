#include "trainer/idx.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

using elbow::tests::Bytes;
using elbow::tests::first;
using elbow::tests::gzip;
using elbow::tests::idx_file;
using elbow::tests::idx_header;
using elbow::tests::TemporaryDirectory;
using testing::AnyOf;
using testing::HasSubstr;

// The sentence of the DataError that reading `path` gives, or "" where there is none.
std::string complaint(const std::filesystem::path& path) {
  try {
    read_idx(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

std::string complaint_about(const Bytes& bytes) {
  const TemporaryDirectory folder;
  const auto path = folder.write("some.idx", bytes);
  const auto sentence = complaint(path);
  EXPECT_THAT(sentence, AnyOf("", HasSubstr(path.string())));
  return sentence;
}

Bytes with(Bytes bytes, size_t offset, uint8_t value) {
  bytes.at(offset) = value;
  return bytes;
}

Bytes joined(Bytes bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

class IdxOfShape : public testing::TestWithParam<std::vector<uint32_t>> {};

TEST_P(IdxOfShape, IsReadPlainAndPackedAlike) {
  const auto bytes = idx_file(GetParam());
  const std::vector<int64_t> shape(GetParam().begin(), GetParam().end());
  const auto plain = parse_idx(bytes, "plain");
  const auto packed = parse_idx(gzip(bytes), "packed");
  for (const auto& array : {plain, packed}) {
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.bytes.sizes().vec(), shape);
    const auto expected = at::arange(array.bytes.numel(), at::kLong).remainder(251).to(at::kByte);
    EXPECT_TRUE(at::equal(array.bytes.flatten(), expected));
    EXPECT_EQ(sha256_unpacked(array), plain.sha256);
  }
  EXPECT_NE(packed.sha256, plain.sha256);
}

INSTANTIATE_TEST_SUITE_P(Shapes, IdxOfShape,
                         testing::Values(std::vector<uint32_t>{1}, std::vector<uint32_t>{300},
                                         std::vector<uint32_t>{7, 5},
                                         std::vector<uint32_t>{9, 28, 28},
                                         std::vector<uint32_t>{1, 1, 1}));

TEST(Idx, ReadsAGzipFileOfSeveralMembersUnderAnyName) {
  const auto bytes = idx_file({20, 6});
  const auto half = bytes.size() / 2;
  const TemporaryDirectory folder;
  const auto path = folder.write(
      "without_an_ending",
      joined(gzip(first(bytes, half)), gzip(Bytes(bytes.begin() + half, bytes.end()))));
  EXPECT_TRUE(at::equal(read_idx(path).bytes, parse_idx(bytes, "plain").bytes));
}

TEST(Idx, HashesTheFileAsStored) {
  // sha256sum of the bytes 00 00 08 01 00 00 00 01 00.
  EXPECT_EQ(parse_idx(idx_file({1}), "x").sha256,
            "dd6678dd4d4a65187aea2998f0283b84b0954bdf39e390aedd72b021aca7a29e");
}

TEST(Idx, RefusesWhatIsNotAReadableFile) {
  const TemporaryDirectory folder;
  const auto missing = folder.path() / "missing.idx";
  EXPECT_THAT(complaint(missing),
              HasSubstr(missing.string() + ": No such file or directory (at byte 0)"));
  EXPECT_THAT(complaint(folder.path()),
              HasSubstr(folder.path().string() + ": it is a folder (at byte 0)"));

  const auto loop = folder.path() / "loop.idx";
  std::filesystem::create_symlink(loop, loop);
  EXPECT_THAT(complaint(loop),
              HasSubstr(loop.string() + ": Too many levels of symbolic links (at byte 0)"));

  const auto pipe = folder.path() / "pipe.idx";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(complaint(pipe), HasSubstr(pipe.string() + ": it is not a regular file (at byte 0)"));
}

TEST(Idx, RefusesAFileWithoutReadPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const TemporaryDirectory folder;
  const auto path = folder.write("secret.idx", idx_file({3}));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  EXPECT_THAT(complaint(path), HasSubstr(path.string() + ": Permission denied (at byte 0)"));
}

TEST(Idx, RefusesABrokenHeader) {
  const auto good = idx_file({4, 2, 3});
  EXPECT_EQ(complaint_about(good), "");
  EXPECT_THAT(complaint_about({}), HasSubstr("at byte 0: it is empty"));
  EXPECT_THAT(complaint_about(first(good, 3)), HasSubstr("at byte 3: it ends inside its header"));
  EXPECT_THAT(complaint_about(first(good, 15)), HasSubstr("at byte 15: it ends inside its header"));
  EXPECT_THAT(complaint_about(with(good, 1, 7)), HasSubstr("at byte 0: it begins with 00 07"));
  EXPECT_THAT(complaint_about(with(good, 2, 0x0D)),
              HasSubstr("at byte 2: its element type is 0x0d"));
  EXPECT_THAT(complaint_about(with(good, 3, 0)), HasSubstr("at byte 3: it has 0 dimensions"));
  EXPECT_THAT(complaint_about(with(good, 3, 4)), HasSubstr("at byte 3: it has 4 dimensions"));
}

TEST(Idx, RefusesSizesThatCannotBe) {
  EXPECT_THAT(complaint_about(idx_header({0, 28, 28})),
              HasSubstr("at byte 4: it holds zero examples"));
  EXPECT_THAT(complaint_about(idx_header({5, 0, 28})),
              HasSubstr("at byte 8: one of its sizes is zero"));
  const uint32_t most = 0xFFFFFFFFu;
  EXPECT_THAT(complaint_about(idx_header({most, most, most})),
              HasSubstr("at byte 4: its sizes 4294967295 x 4294967295 x 4294967295 promise more "
                        "than 2^63 bytes"));
  // More than any machine has: had it been allocated, the complaint would be another.
  const auto huge = idx_header({most, 65536, 1});
  EXPECT_THAT(complaint_about(huge),
              HasSubstr("at byte 4: its sizes 4294967295 x 65536 x 1 promise 281474976645120"));
  EXPECT_THAT(complaint_about(gzip(huge)),
              HasSubstr("at byte 4: its sizes 4294967295 x 65536 x 1 promise"));
}

TEST(Idx, RefusesTooFewAndTooManyBytes) {
  const auto good = idx_file({4, 2, 3});
  EXPECT_THAT(complaint_about(first(good, good.size() - 1)),
              HasSubstr("at byte 4: its sizes 4 x 2 x 3 promise 24 bytes, but at most 23 follow"));
  EXPECT_THAT(complaint_about(gzip(first(good, good.size() - 1))),
              HasSubstr("at byte 39: it ends here, but its sizes 4 x 2 x 3 promise 1 bytes more"));
  const auto long_by_one = joined(good, {0});
  EXPECT_THAT(complaint_about(long_by_one), HasSubstr("at byte 40: bytes follow the 24"));
  EXPECT_THAT(complaint_about(gzip(long_by_one)), HasSubstr("at byte 40: bytes follow the 24"));
}

TEST(Idx, RefusesADamagedGzipStream) {
  const auto packed = gzip(idx_file({50, 28, 28}));
  const auto size = packed.size();
  EXPECT_EQ(complaint_about(packed), "");
  // The last eight bytes are the sum and the length of what was packed.
  EXPECT_THAT(complaint_about(with(packed, size - 8, packed[size - 8] ^ 1)),
              HasSubstr("gzip damage (incorrect data check)"));
  EXPECT_THAT(complaint_about(with(packed, size - 4, packed[size - 4] ^ 1)),
              HasSubstr("gzip damage (incorrect length check)"));
  EXPECT_THAT(complaint_about(with(packed, 2, 99)),
              HasSubstr("gzip damage (unknown compression method)"));
  for (const size_t length : {size_t{2}, size_t{9}, size_t{30}, size / 2, size - 8, size - 1}) {
    EXPECT_THAT(
        complaint_about(first(packed, length)),
        HasSubstr("at byte " + std::to_string(length) + ": the gzip stream ends too early"));
  }
  EXPECT_THAT(complaint_about(joined(packed, {1, 2, 3})),
              HasSubstr("gzip damage (incorrect header check)"));
}

// Whatever one byte is changed to, the file is either refused in a sentence or gives the same
// array.
TEST(Idx, SurvivesDamageAtEveryByteOfAGzipFile) {
  const auto good = idx_file({6, 5, 5});
  const auto packed = gzip(good);
  const auto expected = parse_idx(good, "good").bytes;
  for (size_t offset = 0; offset < packed.size(); ++offset) {
    for (const uint8_t flip : {0x01, 0x80, 0xFF}) {
      try {
        const auto array = parse_idx(with(packed, offset, packed[offset] ^ flip), "damaged");
        EXPECT_TRUE(at::equal(array.bytes, expected)) << "byte " << offset;
      } catch (const DataError& error) {
        EXPECT_THAT(error.what(), HasSubstr("at byte ")) << "byte " << offset;
      }
    }
  }
}

}  // namespace
}  // namespace elbow::trainer
