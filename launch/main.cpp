// Exceptions become exit codes here, and nowhere else; where several ranks must agree on it first,
// in World::run.
#include <malloc.h>

#include <climits>
#include <cstdio>
#include <exception>

#include "launch/commands.h"
#include "launch/exit_code.h"

namespace {

// Tensors of a step are freed and allocated again in the next: without these glibc may give the
// memory back to the kernel each time.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

// Weights, gradients and optimizer state are read whole in every step, and 4 KiB pages of them do
// not fit into the CPU's page tables' cache. LibTorch asks for large pages where this is set (2 MiB
// and above); the kernel grants them where it may.
void ask_for_large_pages() { setenv("THP_MEM_ALLOC_ENABLE", "1", /*replace=*/0); }

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  ask_for_large_pages();
  try {
    return static_cast<int>(elbow::launch::run_command({argv + (argc > 0 ? 1 : 0), argv + argc}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "elbow: %s\n", error.what());
    return static_cast<int>(elbow::launch::exit_code_of(error));
  }
}
