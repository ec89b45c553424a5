#include "trainer/run_directory.h"

#include <fmt/format.h>
#include <unistd.h>

#include "trainer/error.h"

namespace elbow::trainer {

RunDirectory RunDirectory::create(const std::filesystem::path& path) {
  RunDirectory run(path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    throw SettingError(fmt::format("cannot create the run folder {}: {}; choose another with --out",
                                   path.string(), error.message()));
  }
  if (run.holds_run()) {
    throw SettingError(
        fmt::format("{} holds a run already and --resume is never: choose another folder with "
                    "--out, or go on with this one with --resume auto",
                    path.string()));
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    throw SettingError(
        fmt::format("the run folder {} cannot be written: {}; choose another with --out",
                    path.string(), std::generic_category().message(errno)));
  }
  return run;
}

bool RunDirectory::holds_run() const {
  std::error_code ignored;
  for (const auto& file :
       {config(), manifest(), metrics(), result(), traces(), tensorboard(), checkpoints()})
    if (std::filesystem::exists(file, ignored)) return true;
  return false;
}

std::filesystem::path RunDirectory::checkpoint(int64_t step) const {
  return checkpoints() / fmt::format("step_{:09}", step);
}

}  // namespace elbow::trainer
