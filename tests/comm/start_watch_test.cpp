#include "comm/start_watch.h"

#include <gtest/gtest.h>

#include <thread>

namespace elbow::comm {
namespace {

using namespace std::chrono_literals;

TEST(StartWatch, AStartThatHangsEndsTheProcessWithASentence) {
  EXPECT_EXIT(
      {
        const StartWatch watch(20ms, /*exit_code=*/75);
        std::this_thread::sleep_for(60s);
      },
      testing::ExitedWithCode(75), "MPI has not started on this rank within 0.02 s.*start");
}

TEST(StartWatch, AStartInTimeIsLeftAlone) {
  EXPECT_EXIT(
      {
        { const StartWatch watch(60s, /*exit_code=*/75); }
        std::exit(3);
      },
      testing::ExitedWithCode(3), "^$");
}

}  // namespace
}  // namespace elbow::comm
