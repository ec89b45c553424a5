// Ranks die within two seconds of their launcher, also where a shell stands between or a rank is
// frozen. This program is both the test and, called with `--rank`, one rank.
#include "comm/launcher_watch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "comm/communicators.h"
#include "comm/mpi_session.h"
#include "tests/support/child_process.h"

namespace elbow::tests {
namespace {

using namespace std::chrono_literals;

// Prints its process number, then works on and on with the others, or sleeps.
int run_rank(bool busy) {
  comm::MpiSession session;
  std::printf("RANK %d\n", getpid());
  std::fflush(stdout);
  const auto ranks = comm::make_mpi(session);
  while (true) {
    if (busy) {
      ranks->barrier();
    } else {
      pause();
    }
  }
}

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// Starts two ranks, and gives their process numbers once both have joined MPI.
std::vector<pid_t> ranks_of(ChildProcess& job) {
  std::vector<pid_t> ranks;
  while (ranks.size() < 2) {
    const auto line = job.read_line(30s);
    if (!line) break;
    if (line->starts_with("RANK ")) ranks.push_back(std::atoi(line->c_str() + 5));
  }
  return ranks;
}

std::vector<std::string> job_of(const std::vector<std::string>& rank_words) {
  auto words = mpirun(2);
  words.insert(words.end(), rank_words.begin(), rank_words.end());
  return words;
}

void expect_ranks_die_with_launcher(ChildProcess& job, bool freeze) {
  const auto ranks = ranks_of(job);
  ASSERT_EQ(ranks.size(), 2u) << job.output();
  if (freeze) ::kill(ranks[1], SIGSTOP);
  job.kill(SIGKILL);
  for (const pid_t rank : ranks) {
    EXPECT_TRUE(ends_within(rank, 2s)) << "rank " << rank << " outlives its launcher";
    ::kill(rank, SIGKILL);
  }
}

TEST(LauncherWatch, WorkingRanksDieWithMpirun) {
  ChildProcess job(job_of({this_program(), "--rank", "busy"}), mpirun_environment());
  expect_ranks_die_with_launcher(job, /*freeze=*/false);
}

TEST(LauncherWatch, RanksBehindAShellDieWithMpirun) {
  ChildProcess job(job_of({"bash", "-c", this_program() + " --rank idle; true"}),
                   mpirun_environment());
  expect_ranks_die_with_launcher(job, /*freeze=*/false);
}

TEST(LauncherWatch, AFrozenRankDiesWithMpirun) {
  ChildProcess job(job_of({this_program(), "--rank", "idle"}), mpirun_environment());
  expect_ranks_die_with_launcher(job, /*freeze=*/true);
}

TEST(LauncherWatch, AProcessStartedByHandHasNoLauncher) {
  ChildProcess job({this_program(), "--launcher"});
  EXPECT_EQ(job.finish(10s), 0);
  EXPECT_EQ(job.output(), "LAUNCHER 0\n");
}

}  // namespace
}  // namespace elbow::tests

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--rank") return elbow::tests::run_rank(std::string_view(argv[2]) == "busy");
  if (role == "--launcher") {
    std::printf("LAUNCHER %d\n", elbow::comm::LauncherWatch().launcher());
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
