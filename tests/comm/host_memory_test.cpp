#include "comm/host_memory.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

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

// Bytes of this process's mappings with such a word in their names that lie in large pages.
int64_t bytes_in_large_pages(const std::string& word) {
  std::ifstream file("/proc/self/smaps");
  int64_t kib = 0;
  bool named = false;
  for (std::string line; std::getline(file, line);) {
    if (line.find(" kB") == std::string::npos && line.find("VmFlags") == std::string::npos)
      named = line.find(word) != std::string::npos;
    if (named && line.starts_with("ShmemPmdMapped:")) kib += std::stoll(line.substr(15));
  }
  return kib << 10;
}

// Why this system gives no large pages to shared memory that asks for them; empty: it does.
std::string no_large_pages() {
  utsname system{};
  uname(&system);
  int major = 0, minor = 0;
  std::sscanf(system.release, "%d.%d", &major, &minor);
  if (std::pair(major, minor) < std::pair(6, 1))
    return std::string("Linux ") + system.release + " is older than 6.1";
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  std::string words;
  if (!std::getline(file, words)) return "no transparent huge pages for shared memory";
  return words.find("[deny]") == std::string::npos ? "" : "shmem_enabled: " + words;
}

TEST(HostMemory, LiesInLargePages) {
  const auto reason = no_large_pages();
  if (!reason.empty()) GTEST_SKIP() << reason;
  constexpr int64_t kBytes = 8 << 20;
  spawn_ranks(2, [&](Communicator& ranks) {
    std::string none;
    const auto memory = HostMemory::create(ranks, kBytes, none);
    ASSERT_NE(memory, nullptr) << none;
    memory->meet();
    memory->data()[ranks.rank()] = std::byte{1};
    memory->data()[kBytes - 1 - ranks.rank()] = std::byte{1};
    memory->meet();
    // Ranks are threads here, so this process has both mappings. A page that is busy just then
    // stays small.
    EXPECT_GE(bytes_in_large_pages("/dev/shm/elbow-"), kBytes);
    memory->meet();
  });
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
