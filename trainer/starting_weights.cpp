#include "trainer/starting_weights.h"

#include <fmt/format.h>

#include <system_error>

#include "trainer/error.h"
#include "trainer/run_directory.h"

namespace elbow::trainer {
namespace {

namespace fs = std::filesystem;

// Names of checkpoints sort by their step.
fs::path newest_weights(const fs::path& run) {
  fs::path newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(RunDirectory(run).checkpoints(), ignored)) {
    const auto file = entry.path() / "model.safetensors";
    if (fs::exists(file, ignored) && entry.path() > newest) newest = entry.path();
  }
  if (newest.empty()) {
    throw SettingError(fmt::format(
        "--init-from {} holds no weights: give a run's folder with checkpoints, or a file "
        "model.safetensors",
        run.string()));
  }
  return newest / "model.safetensors";
}

}  // namespace

WeightsFile read_starting_weights(const fs::path& from) {
  std::error_code ignored;
  return read_safetensors(fs::is_regular_file(from, ignored) ? from : newest_weights(from));
}

}  // namespace elbow::trainer
