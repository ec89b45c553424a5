#include "trainer/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace elbow::trainer {
namespace {

TEST(ThreadTeam, DoesEachItemExactlyOnceInEveryRound) {
  for (int64_t threads : {1, 2, 3, 5}) {
    ThreadTeam team(threads);
    for (int64_t items : {0, 1, 2, 4, 17}) {
      for (int round = 0; round < 200; ++round) {
        std::vector<std::atomic<int>> count(items);
        team.run(items, [&](int64_t item) { ++count[item]; });
        for (const auto& c : count) ASSERT_EQ(c, 1);
      }
    }
  }
}

TEST(ThreadTeam, ThrowsTheSmallestItemsErrorAndGoesOn) {
  ThreadTeam team(3);
  const auto work = [](int64_t item) {
    if (item >= 4) throw std::runtime_error("item " + std::to_string(item));
  };
  for (int round = 0; round < 20; ++round) {
    try {
      team.run(9, work);
      FAIL() << "no error";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "item 4");
    }
  }
  std::atomic<int> done = 0;
  team.run(9, [&](int64_t) { ++done; });
  EXPECT_EQ(done, 9);
}

}  // namespace
}  // namespace elbow::trainer
