#include "trainer/starting_weights.h"

#include <fmt/format.h>

#include <system_error>

#include "trainer/checkpoint.h"
#include "trainer/error.h"
#include "trainer/run_directory.h"

namespace elbow::trainer {
namespace {

namespace fs = std::filesystem;

fs::path newest_weights(const fs::path& run) {
  const RunDirectory directory(run);
  const auto steps = checkpoint_steps(directory);
  if (steps.empty()) {
    throw SettingError(fmt::format(
        "--init-from {} holds no weights: give a run's folder with checkpoints, or a file "
        "model.safetensors",
        run.string()));
  }
  return directory.checkpoint(steps.back()) / "model.safetensors";
}

}  // namespace

WeightsFile read_starting_weights(const fs::path& from) {
  std::error_code ignored;
  return read_safetensors(fs::is_regular_file(from, ignored) ? from : newest_weights(from));
}

}  // namespace elbow::trainer
