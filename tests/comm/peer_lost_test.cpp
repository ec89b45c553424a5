// Ranks are killed within a loop of collectives under a real mpirun: every survivor learns who
// died, shrinks, goes on, and the sums are right. This program is both the test and, called with
// `--rank`, one rank.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "comm/communicators.h"
#include "comm/error.h"
#include "comm/mpi_session.h"
#include "tests/support/child_process.h"

namespace elbow::tests {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kSteps = 40;
constexpr int kNoFaultTolerance = 3;

// --- One rank
// --------------------------------------------------------------------------------------------------------

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// A step of every collective; wrong results end the rank, and with it the test.
void collectives(comm::Communicator& ranks) {
  auto sum = at::full({100'000}, 1.0f);
  ranks.all_reduce_sum(sum);
  auto all = at::empty({ranks.size(), 3}, at::kLong);
  ranks.all_gather(at::full({1, 3}, ranks.rank(), at::kLong), all,
                   std::vector<int64_t>(ranks.size(), 1));
  auto word = at::full({1}, ranks.rank(), at::kLong);
  ranks.broadcast(word, ranks.size() - 1);
  ranks.barrier();
  const bool right = at::equal(sum, at::full({100'000}, static_cast<float>(ranks.size()))) &&
                     all.sum().item<int64_t>() == 3 * ranks.size() * (ranks.size() - 1) / 2 &&
                     word.item<int64_t>() == ranks.size() - 1;
  if (!right) say("WRONG");
}

// Survivors may be one step apart.
int newest_step(comm::Communicator& ranks, int step) {
  auto newest = at::full({1}, step, at::kLong);
  ranks.all_reduce_max(newest);
  return static_cast<int>(newest.item<int64_t>());
}

std::unique_ptr<comm::Communicator> healed(comm::Communicator& ranks, const comm::PeerLost& loss,
                                           int me) {
  say(fmt::format("LOST seen by {}: {} on {} in {}", me, loss.rank(), loss.host(), loss.phase()));
  try {
    ranks.barrier();
    say("WRONG: a second use was accepted");
  } catch (const comm::Error&) {
  }
  const auto start = Clock::now();
  auto survivors = ranks.shrink();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  say(fmt::format("SHRUNK {} to {} in {} ms", me, survivors->size(), took.count()));
  return survivors;
}

// Arguments: --rank RANKS_TO_KILL...; they die in step 10.
int run_rank(const std::vector<int>& doomed) {
  comm::MpiSession session;
  if (!session.fault_tolerant()) {
    session.close(kNoFaultTolerance);
    return kNoFaultTolerance;
  }
  const int me = session.rank();
  auto ranks = comm::make_mpi(session);
  bool lost = false, behind = false;
  for (int step = 0; step < kSteps;) {
    try {
      ranks->at(step, "test");
      if (behind) step = newest_step(*ranks, step);
      behind = false;
      if (step == 10 && std::ranges::count(doomed, me) > 0) raise(SIGKILL);
      collectives(*ranks);
      ++step;
    } catch (const comm::PeerLost& loss) {
      lost = behind = true;
      ranks = healed(*ranks, loss, me);
    }
  }
  say(fmt::format("DONE {} of {} healthy {}", me, ranks->size(), session.healthy()));
  ranks.reset();
  session.close(1);
  std::fflush(nullptr);
  _exit(lost && !session.healthy() ? 0 : 1);
}

// --- The test
// --------------------------------------------------------------------------------------------------------

class PeerLost : public testing::TestWithParam<std::vector<int>> {};

TEST_P(PeerLost, EverySurvivorLearnsWhoDiedAndGoesOn) {
  const auto& doomed = GetParam();
  auto words = mpirun(4);
  words.insert(words.end(), {std::filesystem::read_symlink("/proc/self/exe").string(), "--rank"});
  for (const int rank : doomed) words.push_back(std::to_string(rank));
  ChildProcess job(words, mpirun_environment());
  const auto code = job.finish(60s);
  ASSERT_TRUE(code.has_value()) << "the job hangs:\n" << job.output();
  if (*code == kNoFaultTolerance) GTEST_SKIP() << "this MPI launch has no fault tolerance (ULFM)";

  EXPECT_EQ(*code, 0) << "a survivor did not end well";
  const std::string host = comm::this_host();
  const std::string& output = job.output();
  for (int rank = 0; rank < 4; ++rank) {
    if (std::ranges::count(doomed, rank) > 0) continue;
    EXPECT_THAT(output, testing::ContainsRegex(
                            fmt::format("LOST seen by {}: [0-3] on {} in test", rank, host)));
    EXPECT_THAT(output, testing::HasSubstr(
                            fmt::format("DONE {} of {} healthy false", rank, 4 - doomed.size())));
  }
  EXPECT_THAT(output, testing::Not(testing::HasSubstr("WRONG")));
  if (testing::Test::HasFailure()) std::fputs(output.c_str(), stderr);
}

INSTANTIATE_TEST_SUITE_P(Mpi, PeerLost,
                         testing::Values(std::vector<int>{1}, std::vector<int>{0},
                                         std::vector<int>{1, 2}, std::vector<int>{0, 3}),
                         [](const auto& info) {
                           std::string name = "Killed";
                           for (const int rank : info.param) name += std::to_string(rank);
                           return name;
                         });

}  // namespace
}  // namespace elbow::tests

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--rank") {
    std::vector<int> doomed;
    for (int i = 2; i < argc; ++i) doomed.push_back(std::atoi(argv[i]));
    return elbow::tests::run_rank(doomed);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
