#include "launch/loss_outlook.h"

#include <gmock/gmock.h>

namespace elbow::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::vector<trainer::RankPlace> kOneHost = {{"a", "cpu"}, {"a", "cpu"}};
const std::vector<trainer::RankPlace> kTwoHosts = {{"a", "cpu"}, {"b", "cpu"}};

TEST(LossOutlook, ASingleRankHasNothingToSay) { EXPECT_EQ(loss_outlook({{{"a", "cpu"}}}), ""); }

TEST(LossOutlook, RanksThatHealGoOn) {
  EXPECT_THAT(loss_outlook({.ranks = kOneHost, .heals = true}),
              AllOf(HasSubstr("the run goes on"), Not(HasSubstr("host"))));
}

TEST(LossOutlook, AHostThatIsLostEndsEvenARunThatHeals) {
  EXPECT_THAT(loss_outlook({.ranks = kTwoHosts, .heals = true}),
              AllOf(HasSubstr("the run goes on"), HasSubstr("a lost host ends it (exit 75)")));
}

TEST(LossOutlook, UnlessThatIsLookedForToo) {
  EXPECT_THAT(loss_outlook({.ranks = kTwoHosts, .heals = true, .heals_hosts = true}),
              AllOf(HasSubstr("the run goes on"), HasSubstr("a host that does not answer")));
}

TEST(LossOutlook, WithoutHealingARankEndsTheRunResumable) {
  EXPECT_THAT(loss_outlook({.ranks = kOneHost}),
              AllOf(HasSubstr("a lost rank ends the run (exit 75)"), HasSubstr("elbow resume")));
  EXPECT_THAT(loss_outlook({.ranks = kTwoHosts}), HasSubstr("a lost rank or host ends the run"));
  EXPECT_THAT(loss_outlook({.ranks = kTwoHosts, .sweep = true}), HasSubstr("ends the sweep"));
}

TEST(LossOutlook, OnGpusARankEndsTheRunToo) {
  EXPECT_THAT(loss_outlook({.ranks = {{"a", "H100"}, {"a", "H100"}}, .heals = true}),
              HasSubstr("a checkpoint of its step (exit 75)"));
}

}  // namespace
}  // namespace elbow::launch
