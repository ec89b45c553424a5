#include "comm/host_memory.h"

#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/error.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::comm {
namespace {

using tests::spawn_ranks;

TEST(HostMemory, EveryRankSeesWhatTheOthersWroteBeforeTheMeeting) {
  for (int size : {1, 2, 3, 4}) {
    spawn_ranks(size, [&](Communicator& ranks) {
      std::string reason;
      const auto memory = HostMemory::create(ranks, size * 8, reason);
      ASSERT_NE(memory, nullptr) << reason;
      auto* numbers = reinterpret_cast<volatile int64_t*>(memory->data());
      EXPECT_EQ(numbers[ranks.rank()], 0);
      for (int64_t round = 1; round <= 300; ++round) {
        numbers[ranks.rank()] = 1000 * round + ranks.rank();
        memory->meet();
        for (int rank = 0; rank < size; ++rank) ASSERT_EQ(numbers[rank], 1000 * round + rank);
        memory->meet();
      }
    });
  }
}

TEST(HostMemory, IsRefusedOnAllRanksWhereHostsDiffer) {
  spawn_ranks(3,
              [](Communicator& ranks) {
                std::string reason;
                EXPECT_EQ(HostMemory::create(ranks, 64, reason), nullptr);
                EXPECT_NE(reason.find("several hosts (a, b)"), std::string::npos) << reason;
              },
              {.hosts = {"a", "a", "b"}});
}

TEST(HostMemory, IsRefusedOnAllRanksWhereThereIsNoRoom) {
  spawn_ranks(2, [](Communicator& ranks) {
    std::string reason;
    EXPECT_EQ(HostMemory::create(ranks, int64_t{1} << 50, reason), nullptr);
    EXPECT_NE(reason.find("shared memory"), std::string::npos) << reason;
    ranks.barrier();
  });
}

TEST(HostMemory, AMeetingWithALostPeerEndsInPeerLost) {
  spawn_ranks(3, [](Communicator& ranks, ThreadWorld& world) {
    std::string reason;
    const auto memory = HostMemory::create(ranks, 64, reason);
    ASSERT_NE(memory, nullptr) << reason;
    memory->meet();
    if (ranks.rank() == 1) return world.lose(1);
    ranks.at(7, "gradient sum");
    try {
      memory->meet();
      FAIL() << "no error";
    } catch (const PeerLost& loss) {
      EXPECT_EQ(loss.rank(), 1);
      EXPECT_EQ(loss.step(), 7);
    }
  });
}

}  // namespace
}  // namespace elbow::comm
