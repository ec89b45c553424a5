// Exceptions become exit codes here, and nowhere else; where several ranks must agree on it first,
// in World::run.
#include <cstdio>
#include <exception>

#include "launch/commands.h"
#include "launch/exit_code.h"
#include "launch/heap.h"

int main(int argc, char** argv) {
  elbow::launch::prepare_heap();
  try {
    return static_cast<int>(elbow::launch::run_command({argv + (argc > 0 ? 1 : 0), argv + argc}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "elbow: %s\n", error.what());
    return static_cast<int>(elbow::launch::exit_code_of(error));
  }
}
