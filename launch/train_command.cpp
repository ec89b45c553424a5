#include <c10/core/DeviceGuard.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>

#include "comm/error.h"
#include "comm/text.h"
#include "launch/commands.h"
#include "launch/config.h"
#include "launch/devices.h"
#include "launch/effective_config.h"
#include "launch/progress.h"
#include "launch/run_folder.h"
#include "launch/run_report.h"
#include "launch/world.h"
#include "models/mkl.h"
#include "trainer/text_file.h"
#include "trainer/trial.h"

namespace elbow::launch {
namespace {

// Cores that this process may use, shared with the other ranks of its host. A GPU needs one.
int64_t threads_of(const trainer::Settings& settings, const comm::MpiSession& session,
                   const Devices& devices) {
  if (!devices.own.is_cpu()) return 1;
  if (settings.train.threads > 0) return settings.train.threads;
  cpu_set_t cores;
  const int64_t usable = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  return std::max<int64_t>(1, usable / session.local_size());
}

// Fixes MKL's branch to the best one that all ranks have. Every rank calls it, before its first
// product.
std::string agree_on_mkl_branch(World& world) {
  std::string branch = "avx512";
  for (const auto& best : comm::gather_texts(world.ranks(), models::best_mkl_branch())) {
    if (best != "avx512") branch = "avx2";
  }
  world.together([&] { branch = models::fix_mkl_branch(branch); });
  return branch;
}

// The devices, and in exact mode all that its bits rely on.
Devices agree_on_devices(const trainer::TrainSettings& settings, World& world) {
  auto devices = choose_devices(settings, world);
  const int64_t leaves = trainer::leaves_of(settings);
  if (leaves == 0) return devices;
  devices.exact_settings["leaves"] = std::to_string(leaves);
  if (devices.own.is_cpu()) devices.exact_settings["mkl_branch"] = agree_on_mkl_branch(world);
  return devices;
}

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

RunDescription description_of(const trainer::Trainer& trainer, const trainer::Dataset& data,
                              const trainer::Manifest& manifest,
                              const trainer::RunDirectory& directory, const Devices& devices) {
  RunDescription run{.folder = directory.path(),
                     .observed = data.observed(),
                     .parameters = trainer.model().layout().trainable(),
                     .leaves = trainer.leaves(),
                     .threads_per_rank = manifest.threads_per_rank,
                     .backend = manifest.backend,
                     .ranks = manifest.ranks,
                     .device_choice = devices.why};
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    if (split->examples() > 0) run.splits.emplace_back(split->name, split->examples());
  }
  return run;
}

}  // namespace

ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments,
                   World& world) {
  const trainer::Interruption interruption;  // from here on: loading may take a while
  const bool first = world.ranks().rank() == 0;

  // Rank 0 alone reads file, environment and command line; the others parse the text that came of
  // it.
  ParsedConfig config;
  const auto text = world.from_rank_0([&] {
    config = parse_config(command.config, command.words, current_environment());
    return effective_config(config, /*observed=*/std::nullopt);
  });
  if (!first) config = parse_config_text(text, "the configuration of rank 0");
  const auto& settings = config.settings;

  trainer::Dataset data;
  world.together([&] { data = trainer::load_dataset(settings.data); });
  const auto devices = agree_on_devices(settings.train, world);
  auto& ranks = devices.nccl ? *devices.nccl : world.ranks();
  const c10::DeviceGuard guard(devices.own);
  trainer::ThreadTeam team(threads_of(settings, world.session(), devices));
  std::optional<trainer::Trainer> trainer;
  world.together([&] {
    trainer.emplace(settings, std::vector{trainer::row_of(settings, data.observed())}, data, ranks,
                    team, devices.own);
  });

  // The folder comes last, so that what is refused leaves none.
  const auto manifest = manifest_of(arguments, ranks, data, devices, team.size());
  std::optional<trainer::RunDirectory> directory;
  std::unique_ptr<trainer::Observer> progress;
  const auto folder = world.from_rank_0([&] {
    directory = create_run_folder(command.out, config.name);
    trainer::replace_text_file(directory->config(), effective_config(config, data.observed()));
    trainer::write_manifest(directory->manifest(), manifest);
    std::fputs(
        settings_report(settings, description_of(*trainer, data, manifest, *directory, devices))
            .c_str(),
        stdout);
    std::fflush(stdout);
    progress = make_progress(command.progress, settings.train.epochs);
    return std::filesystem::absolute(directory->path()).string();
  });
  if (!first) directory.emplace(folder);

  const auto result = trainer::run_trial({.settings = settings,
                                          .data = data,
                                          .ranks = ranks,
                                          .directory = *directory,
                                          .observer = progress.get(),
                                          .interruption = interruption},
                                         *trainer);
  progress.reset();
  if (first) std::fputs(summary_report(result, directory->path()).c_str(), stdout);
  if (!result.error.empty())
    throw SharedError(static_cast<ExitCode>(result.exit_code), first ? result.error : "");
  return static_cast<ExitCode>(result.exit_code);
}

}  // namespace elbow::launch
