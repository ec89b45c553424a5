// libelbow_cuda.so is opened at run time, so a symbol that it lacks would show only on a machine
// with a GPU. This test opens it everywhere: CUDA's libraries of the wheel load without a driver.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace elbow::comm {
namespace {

std::filesystem::path module_path() {
  return std::filesystem::path(std::getenv("ELBOW_PROGRAM")).parent_path() / "libelbow_cuda.so";
}

TEST(CudaModule, OpensWithEverySymbolResolved) {
  if (!std::filesystem::exists(module_path())) GTEST_SKIP() << "built without CUDA";
  void* module = dlopen(module_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(module, nullptr) << dlerror();
}

}  // namespace
}  // namespace elbow::comm
