#include "trainer/run_lock.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temporary_directory.h"

namespace elbow::trainer {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

TEST(RunLock, RefusesASecondOwnerAndNamesTheFirst) {
  const tests::TemporaryDirectory folder;
  const RunLock first(folder.path() / "run.lock", 0ms);
  try {
    const RunLock second(folder.path() / "run.lock", 100ms);
    FAIL() << "two owners";
  } catch (const SettingError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(folder.path().string()),
                                    HasSubstr("process " + std::to_string(getpid()))));
  }
}

TEST(RunLock, IsFreeAgainAfterItsOwnerAndCountsOwners) {
  const tests::TemporaryDirectory folder;
  const auto file = folder.path() / "run.lock";
  EXPECT_EQ(RunLock(file, 0ms).epoch(), 1);
  EXPECT_EQ(RunLock(file, 0ms).epoch(), 2);
}

TEST(RunLock, IsNotLeftBehindByAKilledOwner) {
  const tests::TemporaryDirectory folder;
  const auto file = folder.path() / "run.lock";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const RunLock lock(file, 0ms);
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(1);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THROW(RunLock(file, 0ms), SettingError);
  kill(owner, SIGKILL);
  EXPECT_EQ(RunLock(file, 5000ms).epoch(), 2) << "waits for the killed owner to be gone";
  waitpid(owner, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

// Another host that lost sight of the owner: it writes its own number.
TEST(RunLock, IsLostToAnOwnerWithALargerEpoch) {
  const tests::TemporaryDirectory folder;
  const RunLock lock(folder.path() / "run.lock", 0ms);
  EXPECT_NO_THROW(lock.require());
  folder.write("run.lock", std::string("2 node07 4711\n"));
  try {
    lock.require();
    FAIL() << "the lock was taken over";
  } catch (const LockLost& error) {
    EXPECT_THAT(error.what(), HasSubstr("process 4711 on node07"));
  }
}

TEST(RunLock, SurvivesAFileOfAnyContent) {
  const tests::TemporaryDirectory folder;
  for (const std::string text :
       {"", "\n", "x", "-5 a b", "99999999999999999999 a b", "9223372036854775807 a b", "7"}) {
    const auto file = folder.write("run.lock", text);
    const RunLock lock(file, 0ms);
    EXPECT_NO_THROW(lock.require()) << text;
    EXPECT_THROW(RunLock(file, 0ms), SettingError) << text;
  }
}

TEST(RunLock, SaysWhereItCannotBe) {
  const tests::TemporaryDirectory folder;
  EXPECT_THROW(RunLock(folder.path() / "missing" / "run.lock", 0ms), SettingError);
}

}  // namespace
}  // namespace elbow::trainer
