#include "launch/trained_run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "launch/effective_config.h"
#include "launch/run_weights.h"
#include "launch/training.h"
#include "trainer/assembly.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using trainer::SettingError;

// Whatever else a word could set belongs to the run, and has been decided.
const std::vector<std::string>& settable() {
  static const std::vector<std::string> keys = {
      "train.threads",     "train.device",          "data.dir",
      "data.train_images", "data.test_images",      "data.train_labels",
      "data.test_labels",  "data.train_attributes", "data.test_attributes"};
  return keys;
}

void check_words(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    const auto key = word.substr(0, word.find('='));
    if (std::find(settable().begin(), settable().end(), key) != settable().end()) continue;
    throw SettingError(
        fmt::format("'{}' (command line) cannot change a run that is trained; allowed keys are {}",
                    shown(word), fmt::join(settable(), ", ")));
  }
}

void check_folder(const trainer::RunDirectory& directory) {
  const auto name = shown(directory.path().string());
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory.path(), ignored))
    throw SettingError(
        fmt::format("there is no run folder {}; give the folder that `elbow train` "
                    "wrote",
                    name));
  if (!std::filesystem::exists(directory.config(), ignored))
    throw SettingError(
        fmt::format("{} is not a run folder: it has no config.cfg; give the folder "
                    "that `elbow train` wrote",
                    name));
}

// The file's values over the defaults; only `words` replace them, never the environment.
ParsedConfig config_of(World& world, const trainer::RunDirectory& directory,
                       const std::vector<std::string>& words) {
  ParsedConfig config;
  const auto text = world.from_rank_0([&] {
    check_words(words);
    check_folder(directory);
    config = parse_config(directory.config(), words, /*environment=*/{});
    return effective_config(config, /*observed=*/std::nullopt);
  });
  if (world.ranks().rank() > 0) config = parse_config_text(text, "the configuration of rank 0");
  return config;
}

}  // namespace

const trainer::Split& TrainedRun::split(const std::string& name) const {
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    if (split->name != name) continue;
    if (split->examples() > 0) return *split;
    throw SettingError(
        fmt::format("--split {}: the run has no such split, because its data.{} = 0; "
                    "choose train or test",
                    name, name));
  }
  throw SettingError(
      fmt::format("--split {} is not known; choose train, validation or test", shown(name)));
}

trainer::EvaluationParts TrainedRun::parts(const trainer::Split& split) const {
  const auto id = split.name == "train"        ? trainer::SplitId::kTrain
                  : split.name == "validation" ? trainer::SplitId::kValidation
                                               : trainer::SplitId::kTest;
  return {.model = *model,
          .data = split,
          .split = id,
          .request = trainer::request_of(settings().data),
          .objective = *objective,
          .scale = trainer::scale_of(settings().objective, model->observed()),
          .condition = condition.kind == trainer::ConditionKind::kNone ? nullptr : &condition};
}

std::unique_ptr<TrainedRun> open_run(World& world, const RunChoice& choice) {
  const trainer::RunDirectory directory(choice.run);
  auto config = config_of(world, directory, choice.words);
  const auto step = std::stoll(
      world.from_rank_0([&] { return std::to_string(chosen_step(directory, choice.checkpoint)); }));
  trainer::Dataset data;
  world.together([&] { data = trainer::load_dataset(config.settings.data); });
  auto devices = agree_on_devices(config.settings.train, world);
  std::unique_ptr<TrainedRun> run(new TrainedRun{.directory = directory,
                                                 .config = std::move(config),
                                                 .data = std::move(data),
                                                 .condition = {},
                                                 .devices = std::move(devices)});
  const auto& settings = run->settings();
  run->guard.reset_device(run->devices.own);
  run->team =
      std::make_unique<trainer::ThreadTeam>(threads_of(settings, world.session(), run->devices));
  world.together([&] {
    run->condition = trainer::condition_plan(settings, run->data);
    run->model = trainer::model_of(settings, run->data);
    run->objective = trainer::objective_of(settings, run->model->observed());
    const auto stored = read_run_weights(directory, step, *run->model);
    run->weights = stored.file;
    run->parameters = stored.parameters.to(run->devices.own);
    run->row = trainer::row_of(settings, run->model->observed());
    run->row.step = stored.step;
    run->row.epoch = stored.epoch;
  });
  return run;
}

}  // namespace elbow::launch
