// The contract over NCCL, and over MPI for CUDA tensors, where every rank finds a GPU of its own.
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/cuda_library.h"
#include "comm/device_choice.h"
#include "tests/support/communicator_contract.h"
#include "tests/support/mpi_world.h"

namespace elbow::tests {
namespace {

class GpuContract : public testing::TestWithParam<ContractCase> {
 protected:
  void SetUp() override {
    world_ = comm::make_mpi(mpi_session());
    decision_ = comm::choose_together(*world_, comm::DeviceRequest::kAuto);
    if (decision_.device[world_->rank()] < 0 || (world_->size() > 1 && !decision_.nccl)) {
      GTEST_SKIP() << decision_.why;
    }
  }

  at::Device device() const {
    return {at::kCUDA, static_cast<c10::DeviceIndex>(decision_.device[world_->rank()])};
  }

  std::unique_ptr<comm::Communicator> world_;
  comm::Decision decision_;
};

TEST_P(GpuContract, HoldsWithNccl) {
  const auto nccl = comm::cuda_library().functions->make_nccl(std::move(world_), device().index());
  EXPECT_EQ(nccl->backend(), "nccl");
  GetParam().check(*nccl, device());
}

TEST_P(GpuContract, HoldsThroughTheHost) { GetParam().check(*world_, device()); }

INSTANTIATE_TEST_SUITE_P(Comm, GpuContract, testing::ValuesIn(communicator_contract()),
                         [](const auto& info) { return std::string(info.param.name); });

// Without a driver the library opens as well: every symbol is found, and there is no GPU.
TEST(CudaLibrary, OpensOnAMachineWithoutGpu) {
  const auto file = comm::find_cuda_library();
  if (file.empty()) GTEST_SKIP() << "built without CUDA";
  if (mpi_session().rank() != 0) return;
  const auto library = comm::open_cuda_library(file);
  ASSERT_NE(library.functions, nullptr) << library.reason;
  EXPECT_EQ(library.functions->gpu_uuids().empty(), comm::cuda_library().functions == nullptr);
}

}  // namespace
}  // namespace elbow::tests
