#include "trainer/interruption.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace elbow::trainer {
namespace {

using namespace std::chrono_literals;
using Time = std::chrono::system_clock::time_point;
const Time kStart = Time(1'000'000s);

TEST(Deadline, IsTheEarlierOfTwo) {
  EXPECT_EQ(deadline_of(kStart, 100, 60, nullptr).time, kStart + 100s);
  EXPECT_EQ(deadline_of(kStart, 100, 60, "1000300").time, kStart + 100s);
  const auto job = deadline_of(kStart, 1000, 60, "1000300");
  EXPECT_EQ(job.time, kStart + 240s);
  EXPECT_EQ(job.reason, "the end of the Slurm job");
  EXPECT_EQ(deadline_of(kStart, 0, 60, "1000300").time, kStart + 240s);
}

TEST(Deadline, IsNoneWithoutLimitsOrWithAnUnreadableOne) {
  for (const char* text : {"", "soon", "12x", "-5", "0", "99999999999999999999"})
    EXPECT_EQ(deadline_of(kStart, 0, 60, text).time, Time::max()) << text;
}

TEST(Interruption, IsRequestedBySignalOrTimeAndSaysWhich) {
  Interruption interruption;
  EXPECT_FALSE(interruption.requested());
  EXPECT_EQ(interruption.reason(), "");
  interruption.request_at(std::chrono::system_clock::now() + 1h, "the clock");
  EXPECT_FALSE(interruption.requested());
  interruption.request_at(std::chrono::system_clock::now() - 1s, "the clock");
  EXPECT_TRUE(interruption.requested());
  EXPECT_EQ(interruption.reason(), "the clock");
  raise(SIGUSR2);
  EXPECT_EQ(interruption.reason(), "signal USR2");
}

}  // namespace
}  // namespace elbow::trainer
