// Three of four ranks are killed while all leave, under a real mpirun, and MPI's end never comes
// for the fourth, as now and then it does not: the rank leaves all the same, and so does the job.
// This program is both the test and, called with `--rank`, one rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "comm/mpi_session.h"
#include "tests/support/child_process.h"

using namespace std::chrono_literals;

namespace {

constexpr int kLast = 3, kNoFaultTolerance = 77;
bool hangs = false;

}  // namespace

// Stands for the library's own, which a program may replace (the profiling interface of MPI).
extern "C" int MPI_Finalize() {
  if (!hangs) return PMPI_Finalize();
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank != kLast) raise(SIGKILL);
  while (true) pause();
}

namespace elbow::tests {
namespace {

int run_rank() {
  comm::MpiSession session;
  if (!session.fault_tolerant()) {
    session.close(kNoFaultTolerance);
    return kNoFaultTolerance;
  }
  hangs = true;
  session.close(0, 300ms);
  return 1;
}

TEST(Leaving, ARankLeavesThoughMpiWaitsForOthersThatWereLostInIt) {
  auto words = mpirun(kLast + 1);
  words.insert(words.end(), {std::filesystem::read_symlink("/proc/self/exe").string(), "--rank"});
  ChildProcess job(words, mpirun_environment());
  const auto code = job.finish(60s);
  ASSERT_TRUE(code.has_value()) << "the job hangs:\n" << job.output();
  if (*code == kNoFaultTolerance) GTEST_SKIP() << "this MPI launch has no fault tolerance (ULFM)";
  EXPECT_EQ(*code, 0) << job.output();
  EXPECT_THAT(job.output(),
              testing::ContainsRegex("rank 3 on .* has done its work and leaves after 0.3 s"));
}

}  // namespace
}  // namespace elbow::tests

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--rank") return elbow::tests::run_rank();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
