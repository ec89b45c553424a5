// Memory shared by the processes of one host.
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/host_memory.h"
#include "tests/support/mpi_world.h"

namespace elbow::tests {
namespace {

TEST(HostMemory, IsSharedByProcesses) {
  const auto ranks = comm::make_mpi(mpi_session());
  std::string reason;
  const auto memory = comm::HostMemory::create(*ranks, ranks->size() * 8, reason);
  ASSERT_NE(memory, nullptr) << reason;
  auto* numbers = reinterpret_cast<volatile int64_t*>(memory->data());
  for (int64_t round = 1; round <= 200; ++round) {
    numbers[ranks->rank()] = 1000 * round + ranks->rank();
    memory->meet();
    for (int rank = 0; rank < ranks->size(); ++rank) ASSERT_EQ(numbers[rank], 1000 * round + rank);
    memory->meet();
  }
}

}  // namespace
}  // namespace elbow::tests
