#include "trainer/file_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <thread>
#include <vector>

#include "tests/support/idx_bytes.h"
#include "tests/support/temporary_directory.h"
#include "trainer/error.h"

namespace elbow::trainer {
namespace {

using elbow::tests::Bytes;
using elbow::tests::TemporaryDirectory;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kBegin = 5, kRowBytes = 7, kRows = 1000;

class FileRowsTest : public testing::Test {
 protected:
  FileRowsTest() {
    for (size_t i = 0; i < kBegin + kRows * kRowBytes; ++i)
      bytes_.push_back(static_cast<uint8_t>((i * 2654435761u) >> 13));
    path_ = folder_.write("rows", bytes_);
  }

  Bytes expected(const std::vector<int64_t>& rows) const {
    Bytes all;
    for (const int64_t row : rows) {
      const auto begin = bytes_.begin() + kBegin + row * kRowBytes;
      all.insert(all.end(), begin, begin + kRowBytes);
    }
    return all;
  }

  static Bytes read(const FileRows& file, const std::vector<int64_t>& rows) {
    Bytes out(rows.size() * kRowBytes);
    file.read(rows, out.data());
    return out;
  }

  // A batch that is neither sorted nor free of neighbours and repeats.
  static std::vector<int64_t> batch(int64_t number) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < 40; ++i) rows.push_back((number * 131 + i / 3 * 577 + i % 3) % kRows);
    return rows;
  }

  TemporaryDirectory folder_;
  Bytes bytes_;
  std::filesystem::path path_;
};

std::string complaint(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST_F(FileRowsTest, ReadsRowsInTheOrderOfTheirNumbers) {
  const FileRows file(path_, kBegin, kRowBytes);
  std::vector<int64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(read(file, all), expected(all));
  EXPECT_EQ(read(file, {999, 0, 0, 1, 500}), expected({999, 0, 0, 1, 500}));
  EXPECT_EQ(read(file, {}), Bytes{});
}

TEST_F(FileRowsTest, RowsAskedForAheadAreTheSame) {
  const FileRows file(path_, kBegin, kRowBytes);
  file.prefetch(batch(0));
  for (int64_t number = 0; number < 200; ++number) {
    file.prefetch(batch(number + 1));
    ASSERT_EQ(read(file, batch(number)), expected(batch(number))) << number;
  }
}

TEST_F(FileRowsTest, ManyThreadsMayAskAlikeAndForgetPromises) {
  const FileRows file(path_, kBegin, kRowBytes);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int64_t number = 0; number < 300; ++number) {
        file.prefetch(batch(number + 1));              // the same batch from all threads
        file.prefetch(batch(1000 * thread + number));  // mostly a promise not kept
        wrong[thread] += read(file, batch(number)) != expected(batch(number)) ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST_F(FileRowsTest, AFileThatShrinksIsAnErrorWithItsByte) {
  const FileRows file(path_, kBegin, kRowBytes);
  file.prefetch(std::vector<int64_t>{900});
  read(file, {900});
  std::filesystem::resize_file(path_, kBegin + 100 * kRowBytes + 3);
  EXPECT_EQ(read(file, {99}), expected({99}));
  const auto words = AllOf(HasSubstr(path_.string()), HasSubstr("became shorter"));
  EXPECT_THAT(complaint([&] { read(file, {3, 100}); }), AllOf(words, HasSubstr("at byte 708")));
  EXPECT_THAT(complaint([&] { read(file, {800}); }), AllOf(words, HasSubstr("at byte 5605")));
  file.prefetch(std::vector<int64_t>{7, 800});
  EXPECT_THAT(complaint([&] { read(file, {7, 800}); }), words);
  EXPECT_EQ(read(file, {7}), expected({7})) << "an error does not stay";
}

TEST_F(FileRowsTest, RefusesWhatIsNoFile) {
  const auto missing = folder_.path() / "missing";
  EXPECT_THAT(complaint([&] { FileRows(missing, 0, 1); }),
              AllOf(HasSubstr(missing.string()), HasSubstr("No such file")));
  EXPECT_THAT(complaint([&] { FileRows(folder_.path(), 0, 1); }), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace elbow::trainer
