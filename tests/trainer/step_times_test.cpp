#include "trainer/step_times.h"

#include <gmock/gmock.h>

namespace elbow::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string> kHosts = {"node06", "node06", "node07", "node08"};

// 100 steps of `examples` examples a rank, each step_s long.
StepTimes steps(double step_s, double examples = 32) {
  return {.seconds = 100 * step_s,
          .examples = 100 * examples,
          .median_s = step_s,
          .slow_s = 2 * step_s};
}

TEST(StepClock, GivesSumsAndQuantilesAndBeginsAnew) {
  StepClock clock;
  for (int i = 100; i >= 1; --i) clock.add(i, 2);
  const auto times = clock.take();
  EXPECT_EQ(times.seconds, 5050);
  EXPECT_EQ(times.examples, 200);
  EXPECT_EQ(times.median_s, 50);
  EXPECT_EQ(times.slow_s, 90);
  EXPECT_EQ(clock.take().seconds, 0);
}

TEST(StragglerWatch, NamesTheSlowRankOnceUntilItIsFineAgain) {
  StragglerWatch watch(/*factor=*/1.5, /*at_least_s=*/1);
  const std::vector fine = {steps(0.1), steps(0.11), steps(0.1), steps(0.09)};
  const std::vector slow = {steps(0.1), steps(0.11), steps(0.3), steps(0.09)};
  EXPECT_FALSE(watch.look(fine, kHosts));
  const auto sentence = watch.look(slow, kHosts);
  ASSERT_TRUE(sentence);
  EXPECT_THAT(*sentence,
              AllOf(HasSubstr("rank 2 on node07 is slow"), HasSubstr("9.38 ms, 3.0 times"),
                    HasSubstr("300 ms, one in ten more than 600 ms")));
  EXPECT_FALSE(watch.look(slow, kHosts)) << "it is known";
  EXPECT_FALSE(watch.look(fine, kHosts));
  EXPECT_TRUE(watch.look(slow, kHosts));
}

TEST(StragglerWatch, DoesNotBlameARankForALargerShare) {
  StragglerWatch watch(1.5, 1);
  EXPECT_FALSE(watch.look({steps(0.2, 64), steps(0.1), steps(0.1), steps(0.1)}, kHosts));
}

TEST(StragglerWatch, AddsUpShortTimesBeforeItJudges) {
  StragglerWatch watch(1.5, 25);
  const std::vector slow = {steps(0.1), steps(0.1), steps(0.1), steps(0.2)};
  EXPECT_FALSE(watch.look(slow, kHosts));
  EXPECT_TRUE(watch.look(slow, kHosts)) << "20 s + 20 s";
}

TEST(StragglerWatch, SaysNothingOfOneRankOrWhereItIsOff) {
  EXPECT_FALSE(StragglerWatch(1.5, 1).look({steps(1)}, {"node06"}));
  EXPECT_FALSE(StragglerWatch(0, 1).look({steps(0.1), steps(9)}, {"a", "b"}));
}

}  // namespace
}  // namespace elbow::trainer
