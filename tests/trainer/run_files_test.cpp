#include "trainer/run_files.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_directory.h"
#include "trainer/error.h"
#include "trainer/metrics_log.h"
#include "trainer/run_directory.h"
#include "trainer/text_file.h"

namespace elbow::trainer {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using tests::TemporaryDirectory;

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

SplitMetrics some_metrics() {
  return {.split = "test",
          .epoch = 2,
          .step = 938,
          .examples = 10000,
          .loss = 0.2,
          .elbo_nats = -154.2};
}

TEST(TextFile, ReplacesTheWholeFileAndLeavesNothingBeside) {
  TemporaryDirectory folder;
  const auto file = folder.write("a.json", "old, and longer than the new text");
  replace_text_file(file, "new");
  EXPECT_EQ(text_of(file), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(RunDirectory, IsCreatedWithItsParents) {
  TemporaryDirectory folder;
  const auto run = RunDirectory::create(folder.path() / "a" / "b");
  EXPECT_TRUE(std::filesystem::is_directory(run.path()));
  EXPECT_FALSE(run.holds_run());
  EXPECT_EQ(run.checkpoint(469).filename(), "step_000000469");
}

TEST(RunDirectory, RefusesAFolderThatHoldsARun) {
  TemporaryDirectory folder;
  const auto run = RunDirectory::create(folder.path());
  replace_text_file(run.config(), "");
  try {
    RunDirectory::create(folder.path());
    FAIL() << "no error";
  } catch (const SettingError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr(folder.path().string()),
                                             HasSubstr("--resume"), HasSubstr("--out")));
  }
}

TEST(RunDirectory, RefusesAPathBelowAFile) {
  TemporaryDirectory folder;
  const auto file = folder.write("file", "");
  EXPECT_THROW(RunDirectory::create(file / "run"), SettingError);
  EXPECT_THROW(RunDirectory::create(file), SettingError);
}

TEST(MetricsLog, AppendsOneObjectALine) {
  TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  MetricsLog(file, UINT64_MAX).write(some_metrics());
  MetricsLog(file, UINT64_MAX).write(some_metrics());
  const std::string line = metrics_line(some_metrics()) + "\n";
  EXPECT_EQ(text_of(file), line + line);
  const auto object = json::parse(line);
  EXPECT_EQ(object["split"], "test");
  EXPECT_EQ(object["step"], 938);
  EXPECT_EQ(object["elbo_nats"], -154.2);
  EXPECT_FALSE(object.contains("nonfinite"));
}

TEST(MetricsLog, WritesNumbersThatAreNotFiniteAsNullAndNamesThem) {
  SplitMetrics metrics = some_metrics();
  metrics.loss = std::numeric_limits<double>::quiet_NaN();
  metrics.kl_nats = std::numeric_limits<double>::infinity();
  const auto object = json::parse(metrics_line(metrics));
  EXPECT_TRUE(object["loss"].is_null());
  EXPECT_TRUE(object["kl_nats"].is_null());
  EXPECT_EQ(object["nonfinite"], json({"loss", "kl_nats"}));
}

TEST(Manifest, HoldsTheCircumstancesOfTheRun) {
  TemporaryDirectory folder;
  const auto file = folder.path() / "manifest.json";
  Manifest manifest;
  manifest.arguments = {"elbow", "train", "not utf-8: \xff"};
  manifest.ranks = {{"host-a", "cpu"}, {"host-b", "cpu"}};
  manifest.data_files = {{"embedded:mnist", "abc", "MNIST"}};
  manifest.started = utc_now();
  write_manifest(file, manifest);
  const auto object = json::parse(text_of(file));
  EXPECT_EQ(object["arguments"][1], "train");
  EXPECT_EQ(object["ranks"][1]["host"], "host-b");
  EXPECT_EQ(object["data_files"][0]["known_as"], "MNIST");
  EXPECT_THAT(object["started"].get<std::string>(), testing::MatchesRegex("....-..-..T..:..:..Z"));
  for (const char* name : {"elbow", "git_revision", "libtorch", "compiler"})
    EXPECT_NE(object["versions"][name], "") << name;
}

TEST(Result, HoldsStatusMetricsAndSentence) {
  TemporaryDirectory folder;
  const auto file = folder.path() / "result.json";
  RunResult result;
  result.status = RunStatus::kInterrupted;
  result.exit_code = 75;
  result.error = "interrupted by a signal";
  result.final_metrics = {some_metrics()};
  result.best = some_metrics();
  write_result(file, result);
  EXPECT_THAT(text_of(file), HasSubstr("\n  \"status\": \"interrupted\",\n  \"exit_code\": 75,\n"))
      << "launch/elbow reads these lines";
  const auto object = json::parse(text_of(file));
  EXPECT_EQ(object["final"]["test"]["epoch"], 2);
  EXPECT_EQ(object["best"]["elbo_nats"], -154.2);
  EXPECT_TRUE(object["weights"].is_null());
}

}  // namespace
}  // namespace elbow::trainer
