// The choice of devices over made-up hosts and GPUs.
#include "comm/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/cuda_library.h"
#include "comm/error.h"
#include "tests/support/spawn_ranks.h"

namespace elbow::tests {
namespace {

using comm::choose;
using comm::DeviceRequest;
using testing::AnyOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(DeviceChoice, RanksThatSeeAllGpusTakeOneEach) {
  const auto decision =
      choose({{"a", {"x", "y"}}, {"a", {"x", "y"}}, {"b", {"x"}}}, DeviceRequest::kAuto);
  EXPECT_THAT(decision.device, ElementsAre(AnyOf(0, 1), AnyOf(0, 1), 0));
  EXPECT_NE(decision.device[0], decision.device[1]);
  EXPECT_TRUE(decision.nccl);
}

TEST(DeviceChoice, TheSameIndexMayBeDifferentGpus) {
  const auto decision = choose({{"a", {"x"}}, {"a", {"y"}}}, DeviceRequest::kAuto);
  EXPECT_THAT(decision.device, ElementsAre(0, 0));
  EXPECT_TRUE(decision.nccl);
}

TEST(DeviceChoice, TheSameGpuInTwoRanksKeepsNcclOff) {
  const auto decision = choose({{"a", {"x"}}, {"a", {"x"}}}, DeviceRequest::kAuto);
  EXPECT_THAT(decision.device, ElementsAre(0, 0));
  EXPECT_FALSE(decision.nccl);
  EXPECT_THAT(decision.why, HasSubstr("rank 1 on a shares its GPU"));
}

TEST(DeviceChoice, AFreeGpuIsFoundByMovingAnEarlierRank) {
  // Rank 0 sees both and would take x, the only one that rank 1 sees.
  const auto decision = choose({{"a", {"x", "y"}}, {"a", {"x"}}}, DeviceRequest::kAuto);
  EXPECT_THAT(decision.device, ElementsAre(1, 0));
  EXPECT_TRUE(decision.nccl);
}

TEST(DeviceChoice, MoreRanksThanGpusAreSpreadEvenly) {
  const std::vector<std::string> gpus = {"x", "y"};
  const auto decision =
      choose({{"a", gpus}, {"a", gpus}, {"a", gpus}, {"a", gpus}}, DeviceRequest::kAuto);
  EXPECT_EQ(std::ranges::count(decision.device, 0), 2);
  EXPECT_EQ(std::ranges::count(decision.device, 1), 2);
  EXPECT_FALSE(decision.nccl);
}

TEST(DeviceChoice, OneRankWithoutGpuPutsAllOnTheCpu) {
  const std::vector<comm::RankDevices> ranks = {{"a", {"x"}}, {"b", {}, "no driver"}};
  const auto decision = choose(ranks, DeviceRequest::kAuto);
  EXPECT_THAT(decision.device, Each(-1));
  EXPECT_FALSE(decision.nccl);
  EXPECT_THAT(decision.why, HasSubstr("rank 1 on b sees no GPU: no driver"));
  EXPECT_THROW(choose(ranks, DeviceRequest::kCuda), comm::NoDevice);
}

TEST(DeviceChoice, TheCpuIsTakenWhenAskedFor) {
  const auto decision = choose({{"a", {"x"}}}, DeviceRequest::kCpu);
  EXPECT_THAT(decision.device, ElementsAre(-1));
}

TEST(DeviceChoice, OneRankNeedsNoNccl) {
  const auto decision = choose({{"a", {"x"}}}, DeviceRequest::kCuda);
  EXPECT_THAT(decision.device, ElementsAre(0));
  EXPECT_FALSE(decision.nccl);
}

TEST(DeviceChoice, AllRanksOfAGroupComeToTheSameAnswer) {
  spawn_ranks(3, [](comm::Communicator& ranks) {
    const auto decision = comm::choose_together(ranks, DeviceRequest::kAuto);
    EXPECT_EQ(decision.device.size(), 3u);
    EXPECT_FALSE(decision.nccl);  // threads of one process share every GPU there is
    EXPECT_FALSE(decision.why.empty());
  });
}

TEST(CudaLibrary, SaysWhyThereIsNoGpu) {
  const auto& library = comm::cuda_library();
  EXPECT_EQ(library.functions == nullptr, !library.reason.empty());
}

TEST(CudaLibrary, AFileThatIsNoLibraryIsAReason) {
  const auto library = comm::open_cuda_library("/proc/self/status");
  EXPECT_EQ(library.functions, nullptr);
  EXPECT_THAT(library.reason, HasSubstr("/proc/self/status"));
}

}  // namespace
}  // namespace elbow::tests
