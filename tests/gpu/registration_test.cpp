// libelbow_cuda.so comes late, after a start-up that has made CPU tensors: CUDA's kernels must
// still find their way into LibTorch. Needs no GPU.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <gtest/gtest.h>

#include "comm/communicators.h"
#include "comm/cuda_library.h"
#include "comm/device_choice.h"
#include "trainer/thread_team.h"

namespace elbow::tests {
namespace {

TEST(CudaRegistration, WorksAfterTheProgramsStart) {
  const auto file = comm::find_cuda_library();
  if (file.empty()) GTEST_SKIP() << "built without CUDA";
  // What elbow train does before it knows its device.
  auto self = comm::make_self();
  comm::choose_together(*self, comm::DeviceRequest::kCpu);
  at::zeros({2, 2}).add_(at::full({2, 2}, 1));
  const auto product = c10::Dispatcher::singleton().findSchema({"aten::mm", "out"});
  ASSERT_TRUE(product.has_value());

  ASSERT_NE(comm::open_cuda_library(file).functions, nullptr);
  EXPECT_TRUE(product->hasKernelForDispatchKey(c10::DispatchKey::CUDA));
  EXPECT_TRUE(at::detail::getCUDAHooks().hasCuDNN()) << "the hooks of a LibTorch without CUDA";
}

}  // namespace
}  // namespace elbow::tests
