#include "launch/metrics_history.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/temporary_directory.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kLines =
    R"({"split":"train","epoch":1,"step":8,"loss":0.5,"kl_by_unit":[1,2],"collapsed":true})"
    "\n"
    R"({"split":"test","epoch":1,"step":8,"loss":null,"nonfinite":["loss"]})"
    "\n"
    R"({"split":"train","epoch":2,"step":16,"loss":0.25})"
    "\n";

TEST(MetricsHistory, ReadsEachNumberOfEachSplit) {
  const tests::TemporaryDirectory folder;
  const auto lines = read_metrics(folder.write("metrics.jsonl", kLines));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].numbers.size(), 4u) << "lists are no numbers";
  EXPECT_EQ(held_out_split(lines), "test");
  const auto loss = history_of(lines, "train", "loss");
  EXPECT_THAT(loss.epochs, ElementsAre(1, 2));
  EXPECT_THAT(loss.values, ElementsAre(0.5, 0.25));
  EXPECT_TRUE(std::isnan(history_of(lines, "test", "loss").values.at(0)));
  EXPECT_TRUE(std::isnan(history_of(lines, "test", "none").values.at(0)));
}

TEST(MetricsHistory, ALineThatIsBeingWrittenIsLeftOutAndADamagedOneNamed) {
  const tests::TemporaryDirectory folder;
  EXPECT_TRUE(read_metrics(folder.path() / "none").empty());
  EXPECT_EQ(read_metrics(folder.write("torn", kLines + R"({"split":"te)")).size(), 3u);
  try {
    read_metrics(folder.write("bad", kLines + "{\"split\":4}\n"));
    FAIL() << "no error";
  } catch (const trainer::DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("bad:4"));
  }
}

}  // namespace
}  // namespace elbow::launch
