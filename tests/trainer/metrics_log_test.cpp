#include "trainer/metrics_log.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/temporary_directory.h"
#include "trainer/file_bytes.h"

namespace elbow::trainer {
namespace {

using testing::HasSubstr;

SplitMetrics line_of(int64_t epoch, const std::string& split) {
  SplitMetrics metrics{.split = split, .epoch = epoch, .step = 10 * epoch, .examples = 75};
  metrics.loss = 0.1 * static_cast<double>(epoch);
  return metrics;
}

std::string lines_of(std::initializer_list<int64_t> epochs) {
  std::string text;
  for (const int64_t epoch : epochs)
    for (const auto* split : {"train", "test"}) text += metrics_line(line_of(epoch, split)) + "\n";
  return text;
}

class Log : public testing::Test {
 protected:
  std::string text() const {
    const auto bytes = read_file(file_);
    return {bytes.begin(), bytes.end()};
  }
  tests::TemporaryDirectory folder_;
  const std::filesystem::path file_ = folder_.path() / "metrics.jsonl";
};

TEST(MetricsLine, IsReadBackToTheBit) {
  auto metrics = line_of(3, "validation");
  metrics.elbo_nats = -0.1 - 1e-17;
  metrics.kl_nats = std::numeric_limits<double>::infinity();
  metrics.sigma_min = 5e-324;
  const auto again = metrics_of_line(metrics_line(metrics));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->split, "validation");
  EXPECT_EQ(again->epoch, 3);
  EXPECT_EQ(again->elbo_nats, metrics.elbo_nats);
  EXPECT_EQ(again->sigma_min, 5e-324);
  EXPECT_FALSE(again->sigma_max);
  EXPECT_TRUE(std::isnan(again->kl_nats)) << "JSON has no infinity";
}

TEST(MetricsLine, OfAnotherKindIsNone) {
  for (const std::string line : {"", "{", "[]", "7", R"({"split": 1})", R"({"split": "test"})"})
    EXPECT_FALSE(metrics_of_line(line)) << line;
  auto line = metrics_line(line_of(3, "test"));
  line.replace(line.find("\"epoch\":3"), 9, "\"epoch\":1e300");
  EXPECT_FALSE(metrics_of_line(line));
}

TEST(EndOfLines, IsBehindTheLastWholeLine) {
  EXPECT_EQ(end_of_lines("a\nb\nc", 5), 4u);
  EXPECT_EQ(end_of_lines("a\nb\nc", 3), 2u);
  EXPECT_EQ(end_of_lines("a\nb\n", 99), 4u);
  EXPECT_EQ(end_of_lines("abc", 3), 0u);
  EXPECT_EQ(end_of_lines("", 3), 0u);
}

TEST_F(Log, KeepsWholeLinesWithinTheGivenBytes) {
  const auto two = lines_of({1});
  folder_.write("metrics.jsonl", two + lines_of({2}));
  EXPECT_EQ(MetricsLog(file_, two.size() + 5).bytes(), two.size());
  EXPECT_EQ(text(), two);
}

TEST_F(Log, GoesOnBehindWhatItKeeps) {
  MetricsLog log(file_, 0);
  EXPECT_TRUE(log.write(line_of(1, "train")));
  EXPECT_TRUE(log.write(line_of(1, "test")));
  const auto kept = log.bytes();
  EXPECT_TRUE(log.write(line_of(2, "train")));
  log.truncate(kept);
  EXPECT_TRUE(log.write(line_of(2, "train")));
  EXPECT_TRUE(log.write(line_of(2, "test")));
  EXPECT_EQ(text(), lines_of({1, 2}));
}

TEST_F(Log, WritesLinesThatWaitedOnceItCan) {
  MetricsLog log(file_, 0);
  const auto away = folder_.path() / "away";
  std::filesystem::rename(file_, away);
  EXPECT_FALSE(log.write(line_of(1, "train")));
  EXPECT_THAT(log.failure(), HasSubstr(file_.string()));
  EXPECT_EQ(log.bytes(), 0u);
  std::filesystem::rename(away, file_);
  EXPECT_TRUE(log.write(line_of(1, "test")));
  EXPECT_EQ(log.failure(), "");
  EXPECT_EQ(text(), lines_of({1}));
}

// The rank that wrote may have died before, between or after the lines of an epoch that all know.
TEST_F(Log, IsTakenOverWithTheLinesOfTheLastEpoch) {
  const auto two = lines_of({1, 2});
  const std::vector<SplitMetrics> last = {line_of(2, "train"), line_of(2, "test")};
  for (const size_t there : {lines_of({1}).size(), two.size() - 40, two.size()}) {
    folder_.write("metrics.jsonl", two.substr(0, there));
    MetricsLog(file_, UINT64_MAX).end_with(2, last);
    EXPECT_EQ(text(), two) << there << " bytes were there";
  }
  folder_.write("metrics.jsonl", lines_of({1, 2, 3}));
  MetricsLog(file_, UINT64_MAX).end_with(2, last);
  EXPECT_EQ(text(), two) << "with an epoch that the others have not ended";
  MetricsLog(file_, UINT64_MAX).end_with(0, {});
  EXPECT_EQ(text(), "");
}

}  // namespace
}  // namespace elbow::trainer
