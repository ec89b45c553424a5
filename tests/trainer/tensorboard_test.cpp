#include "trainer/tensorboard.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/support/temporary_directory.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

using testing::ElementsAre;
using tests::TemporaryDirectory;

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  return files;
}

std::vector<int64_t> steps_in(const std::filesystem::path& file) {
  std::vector<int64_t> steps;
  truncate_records(file, [&](std::string_view event) {
    steps.push_back(step_of_event(event));
    return true;
  });
  return steps;
}

TEST(RecordFile, HasTheCheckSumsOfTheFormat) {
  // CRC-32C of "123456789" is 0xe3069283 (RFC 3720, appendix B.4 names the polynomial).
  constexpr uint32_t kCrc = 0xe3069283;
  EXPECT_EQ(masked_crc32c("123456789"), ((kCrc >> 15) | (kCrc << 17)) + 0xa282ead8U);
}

TEST(RecordFile, TruncationKeepsWholeRecordsUpToTheFirstThatIsRefused) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "records";
  const auto write = [&] {
    RecordFile file(path);
    for (const char* text : {"one", "two", "three"}) file.write(text);
  };
  write();
  const auto whole = std::filesystem::file_size(path);
  EXPECT_EQ(truncate_records(path, [](std::string_view) { return true; }), 3);
  EXPECT_EQ(std::filesystem::file_size(path), whole) << "nothing to cut";
  EXPECT_EQ(truncate_records(path, [](std::string_view record) { return record != "two"; }), 1);
  EXPECT_EQ(std::filesystem::file_size(path), 16u + 3u);
  write();  // appends
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_EQ(truncate_records(path, [](std::string_view) { return true; }), 3) << "the last is torn";
}

TEST(Tensorboard, AResumedRunContinuesWithoutAJumpBack) {
  const TemporaryDirectory run;
  {
    EventLog train(run.path() / "train", 0), test(run.path() / "test", 0);
    for (const int64_t step : {50, 100, 150, 200}) train.scalars(step, {{"step/loss", 1.0}});
    test.scalars(100, {{"epoch/loss", 1.0}});
    test.scalars(200, {{"epoch/loss", 1.0}});
  }
  truncate_events(run.path(), 150);
  EXPECT_THAT(steps_in(files_in(run.path() / "train")[0]), ElementsAre(0, 0, 50, 100, 150));
  EXPECT_THAT(steps_in(files_in(run.path() / "test")[0]), ElementsAre(0, 0, 100));
  { EventLog again(run.path() / "train", 151); }
  EXPECT_EQ(files_in(run.path() / "train").size(), 2u);
  truncate_events(run.path(), 120);
  ASSERT_EQ(files_in(run.path() / "train").size(), 1u) << "a launch that left nothing is forgotten";
  EXPECT_THAT(steps_in(files_in(run.path() / "train")[0]), ElementsAre(0, 0, 50, 100));
  truncate_events(run.path() / "none", 0);
}

TEST(Tensorboard, HistogramsCountEveryFiniteValueOnce) {
  const std::vector<float> values = {0, 1, 1, 2, 4, std::nanf(""), INFINITY};
  const auto h = histogram_of(values.data(), 7, /*buckets=*/4);
  EXPECT_THAT(h.limits, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(h.counts, ElementsAre(1, 2, 1, 1));
  EXPECT_EQ(h.count, 5);
  EXPECT_EQ(h.sum, 8);
  EXPECT_EQ(h.square_sum, 22);
  EXPECT_EQ(histogram_of(values.data() + 1, 2).counts.size(), 1u) << "one value only";
  EXPECT_TRUE(histogram_of(values.data() + 5, 2).counts.empty());
}

TEST(Tensorboard, EventsCarryTheirStep) {
  for (const int64_t step : {int64_t{0}, int64_t{127}, int64_t{128}, int64_t{1} << 40})
    EXPECT_EQ(step_of_event(scalars_event({.wall = 1e9, .step = step}, {{"a", 1.0}})), step);
  EXPECT_EQ(step_of_event(version_event(1e9)), 0);
}

}  // namespace
}  // namespace elbow::trainer
