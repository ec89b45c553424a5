#include "trainer/build_info.h"

#include <fmt/format.h>
#include <torch/version.h>

namespace elbow::trainer {

// Written at every build by launch/setup/write_revision.cmake.
extern const char kElbowVersion[];
extern const char kGitRevision[];

const BuildInfo& build_info() {
  static const BuildInfo info = {
      .elbow = kElbowVersion,
      .git_revision = kGitRevision,
#ifdef __clang__
      .compiler = __VERSION__,
#else
      .compiler = "g++ " __VERSION__,
#endif
      .libtorch = TORCH_VERSION,
  };
  return info;
}

std::string version_text() {
  const BuildInfo& info = build_info();
  return fmt::format("elbow {} (revision {}, LibTorch {}, {})", info.elbow, info.git_revision,
                     info.libtorch, info.compiler);
}

}  // namespace elbow::trainer
