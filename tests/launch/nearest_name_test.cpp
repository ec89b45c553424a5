#include "launch/nearest_name.h"

#include <gtest/gtest.h>

namespace elbow::launch {
namespace {

const std::vector<std::string> kNames = {"train.epochs", "train.seed", "objective.kl_wt",
                                         "objective.beta", "optimizer.beta1"};

TEST(NearestName, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("tnah", "tanh"), 1);
  EXPECT_EQ(edit_distance("same", "same"), 0);
}

TEST(NearestName, FindsSlipsMissingSectionsAndWrongSections) {
  EXPECT_EQ(nearest_name("train.epoch", kNames), "train.epochs");
  EXPECT_EQ(nearest_name("TRAIN.SEED", kNames), "train.seed");
  EXPECT_EQ(nearest_name("klwt", kNames), "objective.kl_wt");
  EXPECT_EQ(nearest_name("model.beta", kNames), "objective.beta");
}

TEST(NearestName, FindsNothingWhereNothingIsClose) {
  EXPECT_EQ(nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("gpu", kNames), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), kNames), std::nullopt);
}

}  // namespace
}  // namespace elbow::launch
