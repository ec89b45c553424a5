// Loss of ranks in the world of threads: what survivors see, and that nobody hangs.
#include "comm/thread_world.h"

#include <gtest/gtest.h>

#include <atomic>

#include "comm/error.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::tests {
namespace {

using namespace std::chrono_literals;
using comm::Communicator;
using comm::ThreadWorld;

int64_t sum_of_ones(Communicator& ranks) {
  auto one = at::ones({1}, at::kLong);
  ranks.all_reduce_sum(one);
  return one.item<int64_t>();
}

TEST(ThreadWorld, EverySurvivorLearnsRankAndHostOfTheLost) {
  std::atomic<int> survivors = 0;
  const auto body = [&](Communicator& ranks, ThreadWorld& world) {
    if (ranks.rank() == 2) world.lose(2);
    ranks.at(/*step=*/7, "gradient sum");
    try {
      sum_of_ones(ranks);
      FAIL() << "the sum of a group with a lost rank must not succeed";
    } catch (const comm::PeerLost& loss) {
      EXPECT_EQ(loss.rank(), 2);
      EXPECT_EQ(loss.host(), "c");
      EXPECT_EQ(loss.step(), 7);
      EXPECT_EQ(loss.phase(), "gradient sum");
      EXPECT_EQ(ranks.lost_rank(), 2);
      ++survivors;
    }
  };
  spawn_ranks(4, body, {.hosts = {"a", "b", "c", "d"}});
  EXPECT_EQ(survivors, 3);
}

TEST(ThreadWorld, OnlyShrinkIsAllowedAfterALoss) {
  spawn_ranks(3, [](Communicator& ranks, ThreadWorld& world) {
    if (ranks.rank() == 0) return world.lose(0);
    EXPECT_THROW(ranks.barrier(), comm::PeerLost);
    try {
      ranks.barrier();
      FAIL() << "a second use must be refused";
    } catch (const comm::PeerLost&) {
      FAIL() << "a second use is a mistake of the caller, not another loss";
    } catch (const comm::Error&) {
    }
    const auto survivors = ranks.shrink();
    EXPECT_EQ(survivors->size(), 2);
    EXPECT_EQ(survivors->rank(), ranks.rank() - 1);
    EXPECT_EQ(sum_of_ones(*survivors), 2);
  });
}

TEST(ThreadWorld, HealsFromOneLossAfterAnother) {
  spawn_ranks(4, [](Communicator& ranks, ThreadWorld& world) {
    const int me = ranks.rank();
    std::unique_ptr<Communicator> healed = ranks.shrink();
    for (int lost = 3; lost >= 1; --lost) {
      EXPECT_EQ(sum_of_ones(*healed), lost + 1);
      if (me == lost) return world.lose(me);
      EXPECT_THROW(healed->barrier(), comm::PeerLost);
      healed = healed->shrink();
    }
    EXPECT_EQ(healed->size(), 1);
  });
}

TEST(ThreadWorld, AFrozenRankIsLostAfterTheDeadline) {
  std::atomic<int> survivors = 0;
  const auto body = [&](Communicator& ranks, ThreadWorld& world) {
    if (ranks.rank() == 1) world.freeze(1);
    try {
      ranks.barrier();
    } catch (const comm::PeerLost& loss) {
      EXPECT_EQ(loss.rank(), 1);
      EXPECT_EQ(ranks.shrink()->size(), 2);
      ++survivors;
    }
  };
  spawn_ranks(3, body, {.deadline = 100ms});
  EXPECT_EQ(survivors, 2);
}

TEST(ThreadWorld, LosingARankThatWaitsFreesItAndItsPeers) {
  std::atomic<int> survivors = 0;
  spawn_ranks(3, [&](Communicator& ranks, ThreadWorld& world) {
    if (ranks.rank() == 0) world.lose(1);  // rank 1 is in the barrier, or will be
    try {
      ranks.barrier();
    } catch (const comm::PeerLost& loss) {
      EXPECT_EQ(loss.rank(), 1);
      ++survivors;
    }
  });
  EXPECT_EQ(survivors, 2);
}

TEST(ThreadWorld, ALossInOneGroupLeavesTheOtherAlone) {
  spawn_ranks(4, [](Communicator& ranks, ThreadWorld& world) {
    const auto half = ranks.split(ranks.rank() / 2, 0);
    if (ranks.rank() == 3) return world.lose(3);
    if (ranks.rank() == 2) {
      EXPECT_THROW(half->barrier(), comm::PeerLost);
    } else {
      for (int i = 0; i < 10; ++i) EXPECT_EQ(sum_of_ones(*half), 2);
    }
  });
}

TEST(ThreadWorld, RanksThatCallDifferentOperationsAllGetAnError) {
  spawn_ranks(2, [](Communicator& ranks) {
    if (ranks.rank() == 0) {
      EXPECT_THROW(ranks.barrier(), comm::Error);
    } else {
      EXPECT_THROW(sum_of_ones(ranks), comm::Error);
    }
  });
}

TEST(SpawnRanks, ThrowsWhatARankThrew) {
  EXPECT_THROW(spawn_ranks(3,
                           [](Communicator& ranks) {
                             if (ranks.rank() == 1) throw std::domain_error("one");
                             ranks.barrier();
                           }),
               std::domain_error);
}

}  // namespace
}  // namespace elbow::tests
