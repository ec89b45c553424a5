// Heartbeat, clock and guard: what is published, what counts as a hang, and that a frozen process
// is named and ended. Links neither LibTorch nor MPI, so that ThreadSanitizer can watch all of it.
#include "comm/guard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "comm/hang_clock.h"
#include "comm/hang_report.h"
#include "comm/process_state.h"

namespace elbow::comm {
namespace {

using namespace std::chrono_literals;

TEST(Heartbeat, IsReadWhileItIsWritten) {
  const auto page = HeartbeatPage::make_private();
  auto& mine = page->slot(3);
  EXPECT_TRUE(page->beats().empty());
  mine.join();
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    uint64_t seen = 0;
    while (!stop) {
      const auto beats = page->beats();
      ASSERT_EQ(beats.size(), 1u);
      ASSERT_GE(beats[0].progress, seen);
      seen = beats[0].progress;
    }
  });
  std::thread helper([&] {
    for (int i = 0; i < 1000; ++i) mine.progress();
  });
  for (int step = 0; step < 2000; ++step) {
    mine.at(step, step % 2 == 0 ? "gradient sum" : "evaluation");
    mine.begin_wait();
    mine.end_wait();
    if (step % 500 == 0) mine.watch({.deadline = 1s, .folder = "/tmp"});
  }
  helper.join();
  stop = true;
  reader.join();
  const auto beat = mine.beat(3);
  EXPECT_EQ(beat.rank, 3);
  EXPECT_EQ(beat.process, getpid());
  EXPECT_EQ(beat.step, 1999);
  EXPECT_EQ(beat.phase, "evaluation");
  EXPECT_FALSE(beat.waiting);
  EXPECT_EQ(beat.progress, 1u + 3u * 2000 + 1000);
  EXPECT_EQ(mine.rules().deadline, 1s);
  EXPECT_EQ(mine.rules().folder, "/tmp");
}

TEST(Heartbeat, CutsTextsThatAreTooLong) {
  const auto page = HeartbeatPage::make_private();
  auto& mine = page->slot(0);
  mine.at(1, "a phase with a name that nobody would give to a phase");
  EXPECT_EQ(mine.beat(0).phase.size(), Heartbeat::kPhaseBytes - 1);
}

constexpr ProcessSample kStopped{.stopped = true}, kAsleep{};

// A process that wants a core and has had `cpu` of one since it began.
ProcessSample busy(std::chrono::milliseconds cpu) { return {.runnable = true, .cpu = cpu}; }

TEST(HangClock, CountsWhileAProcessIsStoppedOrSleepsAndBeginsAnewWithProgress) {
  HangClock clock(1s, /*debugger_may_stop=*/true);
  clock.look(1, false, kAsleep, 100ms);
  EXPECT_EQ(clock.stuck(), 0s);
  clock.look(1, false, kAsleep, 100ms);
  clock.look(1, /*waiting=*/true, kStopped, 100ms);  // frozen while it waited
  EXPECT_EQ(clock.stuck(), 200ms);
  clock.look(2, false, kAsleep, 100ms);
  EXPECT_EQ(clock.stuck(), 0s);
}

TEST(HangClock, CountsOnlyTheTimeThatABusyProcessHadACore) {
  HangClock clock(1s, true);
  clock.look(0, false, busy(500ms), 0ms);
  clock.look(0, false, busy(500ms), 100ms);  // wanted one in vain
  EXPECT_EQ(clock.stuck(), 0s);
  clock.look(0, false, busy(530ms), 100ms);
  EXPECT_EQ(clock.stuck(), 30ms);
  clock.look(0, false, busy(930ms), 100ms);  // four threads
  EXPECT_EQ(clock.stuck(), 130ms);
}

TEST(HangClock, DoesNotBlameWhoWaitsNorCountWhatTheGuardSleptThrough) {
  HangClock clock(200ms, true);
  clock.look(0, true, busy(0ms), 100ms);
  clock.look(0, true, busy(100ms), 100ms);
  EXPECT_EQ(clock.stuck(), 0s);
  EXPECT_EQ(clock.waited(), 200ms);
  clock.look(0, false, kAsleep, 3600s);  // the host was suspended
  EXPECT_EQ(clock.stuck(), 200ms);
}

TEST(HangClock, LeavesADebuggerTimeWhereThatIsAllowed) {
  const ProcessSample held{.stopped = true, .traced = true};
  HangClock patient(1s, true), strict(1s, false);
  patient.look(0, false, held, 100ms);
  strict.look(0, false, held, 100ms);
  EXPECT_EQ(patient.stuck(), 0s);
  EXPECT_EQ(strict.stuck(), 100ms);
}

TEST(HangReport, NamesTheCulpritAndCountsTheOthers) {
  const std::vector<Beat> beats = {
      {.rank = 0, .step = 813, .phase = "gradient sum", .waiting = true},
      {.rank = 1, .step = 813, .phase = "gradient sum", .waiting = true},
      {.rank = 2, .step = 812, .phase = "evaluation"},
      {.rank = 3, .step = 813, .phase = "gradient sum", .waiting = true}};
  EXPECT_EQ(hang_report(beats, 2, "node07", 31s),
            "rank 2 on node07 is in 'evaluation' at step 812 for 31 s; 3 others wait in "
            "'gradient sum' at step 813");
}

TEST(HangReport, CountsTheRanksOfAnotherHost) {
  const std::vector<Beat> beats = {
      {.rank = 4, .step = 813, .phase = "gradient sum", .waiting = true},
      {.rank = 5, .step = 813, .phase = "gradient sum"},
      {.rank = 6, .step = 813, .phase = "gradient sum", .waiting = true}};
  EXPECT_EQ(host_report(beats, "node08"),
            "on node08 2 ranks wait in 'gradient sum' at step 813, 1 rank is in 'gradient sum' at "
            "step 813");
}

// A child process with a guard of its own. What both write to stderr is kept.
class Guarded {
 public:
  Guarded(const WatchRules& rules, const std::function<void(Heartbeat&)>& work,
          const std::string& host = "", pid_t launcher = 0) {
    EXPECT_EQ(pipe(errors_), 0);
    child_ = fork();
    if (child_ != 0) {
      close(errors_[1]);
      return;
    }
    dup2(errors_[1], STDERR_FILENO);
    close(errors_[0]);
    close(errors_[1]);
    auto& mine = page_->slot(2);
    mine.join();
    start_guard(page_, 2, launcher, host);
    mine.at(812, "evaluation");
    mine.watch(rules);
    work(mine);
    _exit(7);
  }

  HeartbeatPage& page() { return *page_; }
  pid_t process() const { return child_; }

  // How it ended, and all that was said until child and guard were gone.
  int status() {
    int status = 0;
    waitpid(child_, &status, 0);
    char bytes[512];
    for (ssize_t count; (count = read(errors_[0], bytes, sizeof bytes)) > 0;)
      said_.append(bytes, static_cast<size_t>(count));
    close(errors_[0]);
    return status;
  }
  const std::string& said() const { return said_; }

 private:
  std::shared_ptr<HeartbeatPage> page_ = HeartbeatPage::make_private();
  int errors_[2] = {};
  pid_t child_;
  std::string said_;
};

std::string temporary_folder() {
  std::string name = testing::TempDir() + "guard-XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  return name;
}

TEST(Guard, NamesAndEndsAFrozenProcess) {
  const auto folder = temporary_folder();
  Guarded child({.deadline = 300ms, .folder = folder}, [](Heartbeat&) { raise(SIGSTOP); });
  child.page().slot(1).at(813, "gradient sum");
  child.page().slot(1).begin_wait();
  child.page().slot(1).join();
  const int status = child.status();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_NE(child.said().find("is in 'evaluation' at step 812"), std::string::npos) << child.said();
  EXPECT_NE(child.said().find("its guard has ended it"), std::string::npos) << child.said();
  std::ifstream file(folder + "/hangs.txt");
  std::ostringstream told;
  told << file.rdbuf();
  EXPECT_NE(told.str().find("rank 2 on "), std::string::npos);
  EXPECT_NE(told.str().find("; 1 other "), std::string::npos) << told.str();
}

// Two hosts are two pages that share a run's folder.
TEST(Guard, SaysWhatTheRanksOfOtherHostsDo) {
  const WatchRules rules{.deadline = 2s, .folder = temporary_folder()};
  Guarded waiting(
      rules,
      [](Heartbeat& mine) {
        mine.at(813, "gradient sum");
        mine.begin_wait();
        pause();
      },
      "node08");
  Guarded frozen(
      rules, [](Heartbeat&) { raise(SIGSTOP); }, "node07");
  EXPECT_TRUE(WIFSIGNALED(frozen.status()));
  kill(waiting.process(), SIGKILL);
  waiting.status();
  EXPECT_NE(
      frozen.said().find("rank 2 on node07 is in 'evaluation' at step 812 for 2 s; on node08 1 "
                         "rank waits in 'gradient sum' at step 813: its guard has ended it"),
      std::string::npos)
      << frozen.said();
  EXPECT_EQ(waiting.said(), "elbow: on node08 1 rank waits in 'gradient sum' at step 813\n");
}

// Also a frozen one. Of two, the first says so.
TEST(Guard, EndsItsProcessWithItsLauncher) {
  const WatchRules rules{.folder = temporary_folder()};
  prctl(PR_SET_NAME, "prted");
  const pid_t launcher = fork();
  if (launcher == 0) {
    pause();
    _exit(0);
  }
  prctl(PR_SET_NAME, "guard_test");
  const auto work = [](Heartbeat&) { raise(SIGSTOP); };
  Guarded alone(rules, work, "node07", launcher);
  kill(alone.process(), SIGKILL);
  alone.status();
  EXPECT_EQ(alone.said(), "");
  Guarded first(rules, work, "node07", launcher), second(rules, work, "node08", launcher);
  waitpid(first.process(), nullptr, WUNTRACED);
  waitpid(second.process(), nullptr, WUNTRACED);
  kill(launcher, SIGKILL);
  waitpid(launcher, nullptr, 0);
  for (auto* child : {&first, &second}) {
    const int status = child->status();
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
  }
  EXPECT_NE((first.said() + second.said()).find("rank 2 on node0"), std::string::npos);
  EXPECT_NE((first.said() + second.said()).find("has ended with the launcher of its host"),
            std::string::npos);
}

TEST(Guard, EndsAProcessThatComputesForEver) {
  Guarded child({.deadline = 200ms}, [](Heartbeat&) {
    for (std::atomic<uint64_t> i{0};; ++i) {
    }
  });
  const int status = child.status();
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST(Guard, LeavesAloneWhatGetsOnOrWaits) {
  Guarded child({.deadline = 200ms}, [](Heartbeat& mine) {
    const auto end = std::chrono::steady_clock::now() + 600ms;
    while (std::chrono::steady_clock::now() < end) mine.progress();
    mine.begin_wait();  // for a rank that is busy: the other slot
    usleep(600'000);
  });
  child.page().slot(1).join();
  const int status = child.status();
  ASSERT_TRUE(WIFEXITED(status)) << child.said();
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(child.said(), "");
}

TEST(Guard, OnlySleepsWithoutADeadline) {
  Guarded child({}, [](Heartbeat&) { usleep(400'000); });
  const int status = child.status();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(child.said(), "");
}

}  // namespace
}  // namespace elbow::comm
