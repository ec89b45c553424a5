#include "launch/duration_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace elbow::launch {
namespace {

TEST(DurationText, InTheUnitThatSaysMost) {
  EXPECT_EQ(duration_text(3.25), "3.2 s");
  EXPECT_EQ(duration_text(44.4), "44 s");
  EXPECT_EQ(duration_text(290), "5 min");
  EXPECT_EQ(duration_text(7260), "2 h 01 min");
  EXPECT_EQ(duration_text(3 * 86400 + 4 * 3600), "3 days 4 h");
}

TEST(ClockText, AsAClockShowsIt) {
  EXPECT_EQ(clock_text(7.4), "0:07");
  EXPECT_EQ(clock_text(720), "12:00");
  EXPECT_EQ(clock_text(11045), "3:04:05");
  EXPECT_EQ(clock_text(std::numeric_limits<double>::quiet_NaN()), "?");
}

}  // namespace
}  // namespace elbow::launch
