#include "launch/run_weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "trainer/checkpoint.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using trainer::RunDirectory;
using trainer::SettingError;

// The step of the best epoch so far, from result.json.
int64_t best_step(const RunDirectory& directory) {
  try {
    std::ifstream stream(directory.result());
    return nlohmann::json::parse(stream).at("best").at("step").get<int64_t>();
  } catch (const nlohmann::json::exception&) {
    throw SettingError(fmt::format(
        "--checkpoint best needs the best epoch, but {} does not name it: the run has not ended; "
        "take --checkpoint latest",
        directory.result().string()));
  }
}

}  // namespace

int64_t chosen_step(const RunDirectory& directory, const std::string& which) {
  const auto steps = trainer::checkpoint_steps(directory);
  if (steps.empty())
    throw SettingError(
        fmt::format("{} has no checkpoint yet: wait until the run has written one, or ended",
                    directory.path().string()));
  if (which == "latest") return steps.back();
  const int64_t step = which == "best" ? best_step(directory) : std::stoll(which);
  if (std::find(steps.begin(), steps.end(), step) == steps.end()) {
    throw SettingError(
        fmt::format("--checkpoint {}: step {} is not among the checkpoints of {}; it has {}", which,
                    step, directory.path().string(), fmt::join(steps, ", ")));
  }
  return step;
}

RunWeights read_run_weights(const RunDirectory& directory, int64_t step,
                            const models::Model& model) {
  const auto folder = directory.checkpoint(step);
  const auto stored = trainer::read_checkpoint(folder);
  const auto& row = stored.checkpoint.snapshot.rows.at(0);
  RunWeights weights{.file = folder / "model.safetensors",
                     .step = row.step,
                     .epoch = row.epoch,
                     .parameters = at::zeros({1, model.layout().size()})};
  try {
    model.layout().from_named(stored.model, weights.parameters.select(0, 0));
  } catch (const std::invalid_argument& error) {
    throw trainer::DamagedCheckpoint(fmt::format(
        "{} does not fit the run's config.cfg: {}; copy the run folder again as a whole",
        weights.file.string(), error.what()));
  }
  return weights;
}

}  // namespace elbow::launch
