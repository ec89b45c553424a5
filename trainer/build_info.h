// What this program was built from, for manifests and --version.
#pragma once

#include <string>

namespace elbow::trainer {

struct BuildInfo {
  std::string elbow;         // version
  std::string git_revision;  // with "-dirty" where files differed from it; "unknown" outside a git checkout
  std::string compiler;
  std::string libtorch;
};

const BuildInfo& build_info();
std::string version_text();  // "elbow 0.1.0 (revision …, LibTorch …, g++ …)"

}  // namespace elbow::trainer
