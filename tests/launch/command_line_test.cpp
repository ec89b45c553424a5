#include "launch/command_line.h"

#include <gmock/gmock.h>

namespace elbow::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::vector<std::string>& arguments) {
  try {
    parse_command_line(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TrainCommand train(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "train");
  return std::get<TrainCommand>(parse_command_line(arguments));
}

TEST(CommandLine, FirstWordWithoutEqualsSignIsTheConfigFile) {
  const auto command = train({"a.cfg", "train.epochs=1", "--out", "runs/x", "train.seed=2"});
  EXPECT_EQ(command.config, "a.cfg");
  EXPECT_EQ(command.words, (std::vector<std::string>{"train.epochs=1", "train.seed=2"}));
  EXPECT_EQ(command.out, "runs/x");
  EXPECT_EQ(train({"train.epochs=1"}).config, std::nullopt);
}

TEST(CommandLine, DefaultsToAutomaticProgressAndAFolderOfItsOwn) {
  EXPECT_EQ(train({}).progress, ProgressStyle::kAuto);
  EXPECT_EQ(train({}).out, std::nullopt);
  EXPECT_EQ(train({"--progress=plain"}).progress, ProgressStyle::kPlain);
}

TEST(CommandLine, ConfigCanListAllKeys) {
  EXPECT_TRUE(std::get<ConfigCommand>(parse_command_line({"config", "--keys"})).keys);
  EXPECT_FALSE(std::get<ConfigCommand>(parse_command_line({"config", "a.cfg"})).keys);
}

TEST(CommandLine, DoctorTakesAConfigurationAndMeasuresForFiveSecondsUnlessTold) {
  const auto command = std::get<DoctorCommand>(
      parse_command_line({"doctor", "a.cfg", "data.dir=/data", "--out", "/shared", "--json"}));
  EXPECT_EQ(command.config, "a.cfg");
  EXPECT_THAT(command.words, ElementsAre("data.dir=/data"));
  EXPECT_EQ(command.out, "/shared");
  EXPECT_TRUE(command.json);
  EXPECT_EQ(command.seconds, 5);
  EXPECT_EQ(std::get<DoctorCommand>(parse_command_line({"doctor", "--seconds", "0.5"})).seconds,
            0.5);
  EXPECT_THAT(error_of({"doctor", "--seconds", "-1"}), HasSubstr("0 to 600"));
}

TEST(CommandLine, DryRunsAndVerboseRunsAreAskedForByFlags) {
  EXPECT_FALSE(train({}).dry_run || train({}).verbose);
  EXPECT_TRUE(train({"--dry-run"}).dry_run);
  EXPECT_TRUE(train({"--verbose"}).verbose);
  const auto sweep =
      std::get<SweepCommand>(parse_command_line({"sweep", "a.cfg", "--dry-run", "--verbose"}));
  EXPECT_TRUE(sweep.dry_run && sweep.verbose);
}

TEST(CommandLine, AFolderMayHaveTheNameOfAVerb) {
  const auto command = std::get<ReportCommand>(parse_command_line({"report", "sweep", "report"}));
  EXPECT_THAT(command.runs, ElementsAre("sweep", "report"));
}

TEST(CommandLine, UnknownVerbsAndFlagsGetTheNearestName) {
  EXPECT_THAT(error_of({"trian"}), AllOf(HasSubstr("'trian'"), HasSubstr("did you mean train?")));
  EXPECT_THAT(error_of({"polish"}),
              AllOf(HasSubstr("'polish'"), HasSubstr("train, sweep, resume")));
  EXPECT_THAT(error_of({"train", "--prgress", "bar"}), HasSubstr("did you mean --progress?"));
  EXPECT_THAT(error_of({"--verbose"}), HasSubstr("unknown flag --verbose"));
  EXPECT_THAT(error_of({}), HasSubstr("elbow --help"));
}

TEST(CommandLine, FlagsWithBadValuesAreRefusedInOneSentence) {
  EXPECT_THAT(error_of({"train", "--progress", "br"}),
              AllOf(HasSubstr("'br'"), HasSubstr("mean bar?")));
  EXPECT_THAT(error_of({"train", "--resume", "always"}),
              AllOf(HasSubstr("'always'"), HasSubstr("never")));
  EXPECT_THAT(error_of({"train", "--resume", "auto"}), HasSubstr("--out"));
  EXPECT_THAT(error_of({"train", "--out"}), HasSubstr("--out"));
  EXPECT_THAT(error_of({"train", "--out="}), HasSubstr("--out"));
  EXPECT_THAT(error_of({"train", "--out", "a", "--out", "b"}), HasSubstr("--out"));
  EXPECT_THAT(error_of({"config", "--out", "a"}), HasSubstr("unknown flag --out"));
}

TEST(CommandLine, HelpTeachesExamplesSettingsAndExitCodes) {
  const auto text = std::get<ShowText>(parse_command_line({"--help"})).text;
  EXPECT_THAT(text, AllOf(HasSubstr("Examples:"), HasSubstr("Exit codes:"), HasSubstr("--keys")));
  EXPECT_THAT(std::get<ShowText>(parse_command_line({"train", "--help"})).text,
              AllOf(HasSubstr("[CONFIG] [key=value ...]"), HasSubstr("--out RUN")));
  EXPECT_THAT(std::get<ShowText>(parse_command_line({"--version"})).text, HasSubstr("elbow 0."));
}

}  // namespace
}  // namespace elbow::launch
