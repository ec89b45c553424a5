#include "trainer/run_directory.h"

#include <fmt/format.h>
#include <unistd.h>

#include "trainer/error.h"

namespace elbow::trainer {
namespace {

[[noreturn]] void refuse_creation(const std::filesystem::path& path, const std::string& reason) {
  throw SettingError(fmt::format("cannot create the run folder {}: {}; choose another with --out",
                                 path.string(), reason));
}

void require_no_run(const RunDirectory& run) {
  if (!run.holds_run()) return;
  throw SettingError(
      fmt::format("{} holds a run already and --resume is never: choose another folder with "
                  "--out, or go on with this one with --resume auto",
                  run.path().string()));
}

void require_writable(const std::filesystem::path& path) {
  if (access(path.c_str(), W_OK | X_OK) == 0) return;
  throw SettingError(
      fmt::format("the run folder {} cannot be written: {}; choose another with --out",
                  path.string(), std::generic_category().message(errno)));
}

}  // namespace

RunDirectory RunDirectory::create(const std::filesystem::path& path) {
  RunDirectory run(path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) refuse_creation(path, error.message());
  require_no_run(run);
  require_writable(path);
  return run;
}

void RunDirectory::require_creatable(const std::filesystem::path& path) {
  require_no_run(RunDirectory(path));
  std::error_code ignored;
  auto existing = std::filesystem::absolute(path);
  while (!std::filesystem::exists(existing, ignored) && existing.has_relative_path())
    existing = existing.parent_path();
  if (!std::filesystem::is_directory(existing, ignored))
    refuse_creation(path, fmt::format("{} is no folder", existing.string()));
  require_writable(existing);
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

std::filesystem::path RunDirectory::log(int rank) const {
  return logs() / fmt::format("rank_{:04}.log", rank);
}

}  // namespace elbow::trainer
