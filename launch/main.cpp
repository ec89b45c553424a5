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

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  try {
    return static_cast<int>(elbow::launch::run_command({argv + (argc > 0 ? 1 : 0), argv + argc}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "elbow: %s\n", error.what());
    return static_cast<int>(elbow::launch::exit_code_of(error));
  }
}
