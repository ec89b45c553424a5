#include "launch/heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace elbow::launch {
namespace {

// Whether the kernel was asked for large pages at this address: "hg" among the flags of the mapping
// that holds it. Throws where there is no such mapping.
bool asked_for_large_pages(uintptr_t address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    char dash = 0;
    if (std::istringstream range(line); range >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= address && address < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.find(" hg") != std::string::npos;
    }
  }
  throw std::runtime_error("no mapping has this address");
}

TEST(Heap, TensorsOfAStepLieInLargePagesAndFreedOnesAreKept) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer brings an allocator of its own";
#endif
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage"))
    GTEST_SKIP() << "this kernel has no transparent huge pages";
  prepare_heap();
  void* block = std::malloc(400 << 10);
  ASSERT_NE(block, nullptr);
  const uintptr_t within = reinterpret_cast<uintptr_t>(block) + (200 << 10);
  EXPECT_TRUE(asked_for_large_pages(within));
  std::free(block);
  EXPECT_TRUE(asked_for_large_pages(within));
}

}  // namespace
}  // namespace elbow::launch
