// What the program's exit code means, and which exception leads to which.
#pragma once

#include <exception>

namespace elbow::launch {

enum class ExitCode : int {
  kDone = 0,          // finished
  kFailed = 1,        // anything that has no code of its own
  kUsage = 2,         // command line or configuration
  kData = 3,          // data that cannot be used
  kDamaged = 4,       // a damaged checkpoint or ledger, and no good one to fall back to
  kUnfinished = 75,   // not finished, but resumable, whatever the cause
  kUnresumable = 86,  // not finished, and not resumable
};

ExitCode exit_code_of(const std::exception& error);

}  // namespace elbow::launch
