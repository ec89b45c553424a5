#include "launch/run_folder.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace elbow::launch {
namespace {

// Runs in an empty working folder, without the launcher's variable.
class RunFolder : public testing::Test {
 protected:
  RunFolder() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(folder_.path());
    unsetenv("ELBOW_RESULT_FILE");
  }
  ~RunFolder() override {
    std::filesystem::current_path(before_);
    unsetenv("ELBOW_RESULT_FILE");
  }

  tests::TemporaryDirectory folder_;
  std::filesystem::path before_;
};

TEST_F(RunFolder, IsNamedByRecipeAndTime) {
  const auto run = create_run_folder(std::nullopt, "kl_vae");
  EXPECT_THAT(run.path().string(), testing::MatchesRegex("runs/kl_vae-[0-9]{8}-[0-9]{6}"));
  EXPECT_TRUE(std::filesystem::is_directory(run.path()));
}

TEST_F(RunFolder, OfTwoRunsAtTheSameMomentAreDifferent) {
  EXPECT_NE(create_run_folder(std::nullopt, "a").path(),
            create_run_folder(std::nullopt, "a").path());
}

TEST_F(RunFolder, TellsTheLauncherWhereTheResultWillBe) {
  setenv("ELBOW_RESULT_FILE", (folder_.path() / "told").c_str(), /*overwrite=*/1);
  tell_launcher(create_run_folder("here", "a").result());
  std::string told;
  std::getline(std::ifstream(folder_.path() / "told"), told);
  EXPECT_EQ(told, (std::filesystem::current_path() / "here" / "result.json").string());
}

}  // namespace
}  // namespace elbow::launch
