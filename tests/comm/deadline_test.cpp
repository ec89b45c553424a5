#include "comm/deadline.h"

#include <gtest/gtest.h>

#include <thread>

namespace elbow::comm {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, ACallThatHangsEndsTheProcessWithASentence) {
  EXPECT_EXIT(
      {
        const Deadline deadline(20ms, /*exit_code=*/75, "MPI has not started");
        std::this_thread::sleep_for(60s);
      },
      testing::ExitedWithCode(75), "^elbow: MPI has not started\n$");
}

TEST(Deadline, ACallInTimeIsLeftAlone) {
  EXPECT_EXIT(
      {
        { const Deadline deadline(60s, /*exit_code=*/75, "MPI has not started"); }
        std::exit(3);
      },
      testing::ExitedWithCode(3), "^$");
}

}  // namespace
}  // namespace elbow::comm
