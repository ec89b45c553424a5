#include "launch/number_text.h"

#include <gtest/gtest.h>

namespace elbow::launch {
namespace {

TEST(NumberText, ReadsDecimalsExponentsAndFractions) {
  EXPECT_EQ(number_from_text("1e-3"), 1e-3);
  EXPECT_EQ(number_from_text("1/784"), 1.0 / 784);
  EXPECT_EQ(number_from_text("1e-1 / 4"), 0.025);
  EXPECT_EQ(number_from_text("+.5"), 0.5);
  EXPECT_EQ(number_from_text("-2"), -2.0);
}

TEST(NumberText, RefusesWhatIsNoFiniteNumber) {
  for (const char* text : {"", "nan", "inf", "-inf", "1e999", "1x", "1 2", "1,5", "0x10", "1/0",
                           "1/2/3", "/2", "1/", "1e", "+-1", "--1", "1/nan"})
    EXPECT_EQ(number_from_text(text), std::nullopt) << text;
}

TEST(NumberText, AnIntegerMayHaveAnExponentButNoFraction) {
  EXPECT_EQ(integer_from_text("128"), 128);
  EXPECT_EQ(integer_from_text("6e4"), 60000);
  EXPECT_EQ(integer_from_text("9223372036854775807"), 9223372036854775807);
  for (const char* text : {"1.5", "128.0", "1/1", "1e-1", "", "ten", "9223372036854775808", "1e30"})
    EXPECT_EQ(integer_from_text(text), std::nullopt) << text;
}

TEST(NumberText, ReadsDurationsAsSeconds) {
  EXPECT_EQ(seconds_from_text("90"), 90);
  EXPECT_EQ(seconds_from_text("0.5s"), 0.5);
  EXPECT_EQ(seconds_from_text("30m"), 1800);
  EXPECT_EQ(seconds_from_text("1.5h"), 5400);
  EXPECT_EQ(seconds_from_text("2d"), 172800);
  EXPECT_EQ(seconds_from_text("48:00:30"), 172830);
  for (const char* text :
       {"", "s", "5x", "1:30", "1:60:00", "1:00:60", "-1:00:00", "1:2:3:4", "1e999h"})
    EXPECT_EQ(seconds_from_text(text), std::nullopt) << text;
}

TEST(NumberText, PrintsNumbersSoThatTheyReadBackAsTheSameBits) {
  for (const double value : {1.0 / 784, 0.1, 1e-7, 468.75, 1e300, 5e-324})
    EXPECT_EQ(number_from_text(text_from_number(value)), value);
  EXPECT_EQ(text_from_number(0.001), "0.001");
  EXPECT_EQ(text_from_number(1), "1");
}

TEST(NumberText, SplitsListsAtCommasAndKeepsEmptyParts) {
  EXPECT_EQ(parts_between_commas(" 1000, 500 ,,3"),
            (std::vector<std::string>{"1000", "500", "", "3"}));
  EXPECT_EQ(parts_between_commas(""), std::vector<std::string>{""});
}

}  // namespace
}  // namespace elbow::launch
