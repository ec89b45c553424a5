#include "launch/heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdlib>

namespace elbow::launch {
namespace {

constexpr int kGrowth = 64 << 20;  // bytes

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_MXFAST, 0);  // else each large block that is freed sets off a search for small ones
  mallopt(M_TOP_PAD, kGrowth);
}

// LibTorch asks for tensors of 2 MiB and above where its variable is set. Smaller ones lie in the
// heap: an allocation makes it grow, by that and by as much again, and it never shrinks.
void ask_for_large_pages() {
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*replace=*/0);
  void* block = std::malloc(kGrowth);
  if (block == nullptr) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  std::free(block);
}

}  // namespace

void prepare_heap() {
  keep_freed_memory();
  ask_for_large_pages();
}

}  // namespace elbow::launch
