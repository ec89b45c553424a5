// The contract of the communicators that need no launcher: one process, and 1 to 4 threads.
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "tests/support/communicator_contract.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::tests {
namespace {

using Parameters = std::tuple<int, ContractCase>;

std::string name_of(const testing::TestParamInfo<Parameters>& info) {
  const auto& [size, one] = info.param;
  return (size == 0 ? "Self" : "Threads" + std::to_string(size)) + one.name;
}

class Contract : public testing::TestWithParam<Parameters> {};

TEST_P(Contract, Holds) {
  const auto& [size, one] = GetParam();
  if (size == 0) {
    one.check(*comm::make_self(), at::kCPU);
  } else {
    spawn_ranks(size, [&](comm::Communicator& ranks) { one.check(ranks, at::kCPU); });
  }
}

INSTANTIATE_TEST_SUITE_P(Local, Contract,
                         testing::Combine(testing::Range(0, 5),
                                          testing::ValuesIn(communicator_contract())),
                         name_of);

}  // namespace
}  // namespace elbow::tests
