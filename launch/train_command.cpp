#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>

#include "launch/commands.h"
#include "launch/effective_config.h"
#include "launch/progress.h"
#include "launch/run_folder.h"
#include "launch/run_report.h"
#include "launch/tensorboard_observer.h"
#include "launch/terminal.h"
#include "launch/training.h"
#include "launch/world.h"
#include "models/products.h"
#include "trainer/error.h"
#include "trainer/starting_weights.h"
#include "trainer/text_file.h"
#include "trainer/trial.h"

namespace elbow::launch {
namespace {

trainer::Manifest manifest_of(const std::vector<std::string>& arguments,
                              const comm::Communicator& ranks, const trainer::Dataset& data,
                              const Devices& devices, int64_t threads) {
  trainer::Manifest manifest{.arguments = arguments,
                             .mpi = comm::mpi_library(),
                             .backend = ranks.backend(),
                             .threads_per_rank = threads,
                             .data_files = data.files,
                             .started = trainer::utc_now(),
                             .exact_settings = devices.exact_settings};
  manifest.arguments.insert(manifest.arguments.begin(), "elbow");
  for (int rank = 0; rank < ranks.size(); ++rank)
    manifest.ranks.push_back({ranks.host(rank), devices.names[rank]});
  return manifest;
}

// What watches the run on rank 0.
std::unique_ptr<trainer::Observer> observer_of(const TrainCommand& command, const WatchedRun& run) {
  std::vector<std::unique_ptr<trainer::Observer>> observers;
  observers.push_back(make_progress(command.progress, run.trainer.epochs()));
  observers.push_back(make_tensorboard_observer(run));
  return observers_together(std::move(observers));
}

RunDescription description_of(trainer::Trainer& trainer, const trainer::Dataset& data,
                              const trainer::Manifest& manifest,
                              const trainer::RunDirectory& directory, const Devices& devices) {
  RunDescription run{.folder = directory.path(),
                     .observed = data.observed(),
                     .parameters = trainer.model().layout().trainable(),
                     .leaves = trainer.leaves(),
                     .threads_per_rank = manifest.threads_per_rank,
                     .backend = manifest.backend,
                     .ranks = manifest.ranks,
                     .device_choice = devices.why,
                     .steps = trainer.total_steps(),
                     .recon_floor_nats = trainer.recon_floor_nats()};
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    if (split->examples() > 0) run.splits.emplace_back(split->name, split->examples());
  }
  return run;
}

// Every rank reads the file.
void start_from(const std::filesystem::path& from, trainer::Trainer& trainer) {
  const auto weights = trainer::read_starting_weights(from);
  try {
    trainer.start_from(weights.tensors);
  } catch (const std::invalid_argument& error) {
    throw trainer::SettingError(
        fmt::format("--init-from {} does not fit, because {}: give this run the same model.* "
                    "settings and images of the same size",
                    from.string(), error.what()));
  }
}

}  // namespace

ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments,
                   World& world) {
  const trainer::Interruption interruption;  // from here on: loading may take a while
  const bool first = world.ranks().rank() == 0;

  const auto training = prepare_training(world, command.config, command.words);
  const auto& [config, data, devices, guard, team, trainer] = *training;
  const auto& settings = config.settings;
  auto& ranks = training->ranks(world);
  if (command.init_from) world.together([&] { start_from(*command.init_from, *trainer); });

  // The folder comes last, so that what is refused leaves none.
  const auto manifest = manifest_of(arguments, ranks, data, devices, team->size());
  std::optional<trainer::RunDirectory> directory;
  std::unique_ptr<trainer::Observer> observer;
  const auto folder = world.from_rank_0([&] {
    directory = create_run_folder(command.out, config.name);
    trainer::replace_text_file(directory->config(), effective_config(config, data.observed()));
    trainer::write_manifest(directory->manifest(), manifest);
    std::fputs(
        settings_report(settings, description_of(*trainer, data, manifest, *directory, devices))
            .c_str(),
        report_stream());
    std::fflush(report_stream());
    observer = observer_of(command, {config, *trainer, data, *directory});
    if (devices.own.is_cpu() && settings.train.precision == "bf16" &&
        !models::has_bfloat16_instructions()) {
      observer->on_note(
          "this CPU has no bfloat16 instructions (AVX512-BF16 or AMX): train.precision=bf16 is "
          "emulated and slower than fp32");
    }
    return std::filesystem::absolute(directory->path()).string();
  });
  if (!first) directory.emplace(folder);

  const auto result = trainer::run_trial({.settings = settings,
                                          .data = data,
                                          .ranks = ranks,
                                          .directory = *directory,
                                          .observer = observer.get(),
                                          .interruption = interruption},
                                         *trainer);
  observer.reset();
  if (first) std::fputs(summary_report(result, directory->path()).c_str(), report_stream());
  if (!result.error.empty())
    throw SharedError(static_cast<ExitCode>(result.exit_code), first ? result.error : "");
  return static_cast<ExitCode>(result.exit_code);
}

}  // namespace elbow::launch
