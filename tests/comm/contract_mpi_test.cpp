// The contract over MPI, whole and in chunks, and what a session knows of its launch.
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/text.h"
#include "tests/support/communicator_contract.h"
#include "tests/support/mpi_world.h"

namespace elbow::tests {
namespace {

class Contract : public testing::TestWithParam<std::tuple<int64_t, ContractCase>> {};

TEST_P(Contract, Holds) {
  const auto& [chunk_bytes, one] = GetParam();
  one.check(*comm::make_mpi(mpi_session(), {.chunk_bytes = chunk_bytes}), at::kCPU);
}

// 50,000 bytes a call: the way of tensors beyond 2^31 bytes.
INSTANTIATE_TEST_SUITE_P(Mpi, Contract,
                         testing::Combine(testing::Values(int64_t{1} << 30, int64_t{50'000}),
                                          testing::ValuesIn(communicator_contract())),
                         [](const auto& info) {
                           const bool whole = std::get<0>(info.param) > 50'000;
                           return (whole ? "Whole" : "Chunked") +
                                  std::string(std::get<1>(info.param).name);
                         });

TEST(MpiSession, KnowsWhichRanksShareAHost) {
  const auto& session = mpi_session();
  const auto ranks = comm::make_mpi(mpi_session());
  const auto hosts = comm::gather_texts(*ranks, comm::this_host());
  int before = 0, together = 0;
  for (int rank = 0; rank < session.size(); ++rank) {
    EXPECT_EQ(session.host(rank), hosts[rank]);
    if (hosts[rank] != hosts[session.rank()]) continue;
    ++together;
    if (rank < session.rank()) ++before;
  }
  EXPECT_EQ(session.local_size(), together);
  EXPECT_EQ(session.local_rank(), before);
  EXPECT_TRUE(session.healthy());
}

}  // namespace
}  // namespace elbow::tests
