#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "launch/commands.h"
#include "launch/doctor/estimate.h"
#include "launch/dry_run.h"
#include "launch/effective_config.h"
#include "launch/loss_outlook.h"
#include "launch/progress.h"
#include "launch/resume.h"
#include "launch/run_folder.h"
#include "launch/run_report.h"
#include "launch/tensorboard_observer.h"
#include "launch/terminal.h"
#include "launch/training.h"
#include "launch/world.h"
#include "models/products.h"
#include "trainer/checkpoint_exchange.h"
#include "trainer/error.h"
#include "trainer/run_record.h"
#include "trainer/starting_weights.h"
#include "trainer/text_file.h"
#include "trainer/trial.h"

namespace elbow::launch {
namespace {

// What watches the run on rank 0.
std::unique_ptr<trainer::Observer> observer_of(const TrainCommand& command, WatchedRun run) {
  std::vector<std::unique_ptr<trainer::Observer>> observers;
  observers.push_back(make_progress(command.progress, run.trainer.epochs()));
  run.tell = [progress = observers.front().get()](const std::string& sentence) {
    progress->on_note(sentence);
  };
  observers.push_back(make_tensorboard_observer(run));
  return observers_together(std::move(observers));
}

RunDescription description_of(trainer::Trainer& trainer, const trainer::Dataset& data,
                              const trainer::Manifest& manifest,
                              const trainer::RunDirectory& directory, const Devices& devices,
                              const comm::MpiSession& session) {
  RunDescription run{.folder = directory.path(),
                     .observed = trainer.model().observed(),
                     .parameters = trainer.model().layout().trainable(),
                     .leaves = trainer.leaves(),
                     .threads_per_rank = manifest.threads_per_rank,
                     .backend = manifest.backend,
                     .ranks = manifest.ranks,
                     .device_choice = devices.why,
                     .if_lost = loss_outlook({.ranks = manifest.ranks,
                                              .heals = session.fault_tolerant(),
                                              .heals_hosts = session.survives_lost_hosts()}),
                     .steps = trainer.total_steps(),
                     .recon_floor_nats = trainer.recon_floor_nats()};
  for (const auto* split : {&data.train, &data.validation, &data.test}) {
    if (split->examples() > 0) run.splits.emplace_back(split->name, split->examples());
  }
  return run;
}

// Rank 0's part of a run: the folder, the right to write into it, and what it has to go on from.
struct Place {
  std::optional<FoundRun> found;
  std::optional<trainer::RunDirectory> directory;
  std::unique_ptr<trainer::RunLock> lock;
};

// A new folder, or the one that was found, which gets the effective settings of this launch.
void take_place(Place& place, const TrainCommand& command, const ParsedConfig& config) {
  if (place.found) {
    place.directory = place.found->directory;
    place.lock = std::move(place.found->lock);
    std::filesystem::remove(place.directory->result());  // of an earlier launch
  } else {
    place.directory = create_run_folder(command.out, config.name);
    place.lock = lock_run(*place.directory);
    if (place.directory->holds_run())
      throw trainer::SettingError(
          fmt::format("another process has begun a run in {}: choose another folder with --out",
                      place.directory->path().string()));
  }
  tell_launcher(place.directory->result());
}

// What rank 0 says before it goes on with a run.
std::string resumption_report(const FoundRun& run) {
  std::string text;
  if (!run.checkpoint) return "resumed    from the start: no checkpoint is there\n";
  const auto& row = run.checkpoint->checkpoint.snapshot.rows.at(0);
  return fmt::format("resumed    from step {}, in epoch {}\n", row.step, row.epoch + 1);
}

// The checkpoint that rank 0 has read, on all ranks.
std::optional<trainer::Checkpoint> share_checkpoint(World& world,
                                                    const std::optional<FoundRun>& found,
                                                    const trainer::Trainer& trainer) {
  std::optional<trainer::Checkpoint> checkpoint;
  const auto names = trainer::tensor_names(trainer);
  const auto there = world.from_rank_0([&] {
    if (found && found->checkpoint) checkpoint = with_tensors(*found->checkpoint, names);
    return std::string(checkpoint ? "there" : "");
  });
  if (there.empty()) return std::nullopt;
  if (!checkpoint) checkpoint.emplace();
  trainer::broadcast(world.ranks(), *checkpoint, 0, names);
  return checkpoint;
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

std::string folder_text(const TrainCommand& command) {
  return command.out ? command.out->string() : "runs/NAME-DATE-TIME";
}

// In place of training, when all that could be refused has been checked.
ExitCode tell_plan(const TrainCommand& command, const Place& place, Training& training,
                   World& world, const trainer::Manifest& manifest) {
  const auto& settings = training.config.settings;
  auto estimate = doctor::measure_training(training, world);
  if (place.found && place.found->checkpoint) {
    const auto done = place.found->checkpoint->checkpoint.step();
    const auto steps = static_cast<double>(estimate.steps);
    estimate.total_s *= (steps - static_cast<double>(done)) / steps;
  }
  const auto memory = memory_lines(world, training.devices);
  world.from_rank_0([&] {
    const trainer::RunDirectory directory(folder_text(command));
    std::string text =
        settings_report(settings, description_of(*training.trainer, training.data, manifest,
                                                 directory, training.devices, world.session()));
    if (place.found) text += resumption_report(*place.found);
    text += memory + estimate_text(estimate) +
            run_files_text(settings, estimate, directory.path().string(), world.ranks().size()) +
            "dry run    nothing was trained or written\n";
    std::fputs(text.c_str(), report_stream());
    std::fflush(report_stream());
    return std::string();
  });
  return ExitCode::kDone;
}

}  // namespace

ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments,
                   World& world) {
  const auto start = std::chrono::system_clock::now();
  trainer::Interruption interruption;  // from here on: loading may take a while
  const bool first = world.ranks().rank() == 0;
  auto& log = world.log();
  if (command.verbose) log.show();

  Place place;
  const auto mkl_branch = world.from_rank_0([&] {
    place.found =
        find_run(command.out, command.resume, command.dry_run ? Access::kLook : Access::kWrite);
    if (command.dry_run && !place.found)
      trainer::RunDirectory::require_creatable(command.out.value_or("runs"));
    return place.found ? mkl_branch_of(*place.found) : "";
  });
  const auto training = prepare_training(world, command.config, command.words, mkl_branch);
  const auto& [config, data, devices, guard, team, trainer] = *training;
  const auto& settings = config.settings;
  auto& ranks = training->ranks(world);
  const auto identity = identity_of(config, devices, data);
  const auto deadline =
      trainer::deadline_of(start, settings.train.max_time, settings.train.time_margin,
                           std::getenv("SLURM_JOB_END_TIME"));
  interruption.request_at(deadline.time, deadline.reason);

  const auto complete = world.from_rank_0([&] {
    if (!place.found) return std::string();
    check_identity(*place.found, config, identity);
    for (const auto& sentence : place.found->damaged)
      fmt::print(stderr, "elbow: {}; going back to {}\n", sentence,
                 place.found->checkpoint->folder.string());
    if (!is_complete(*place.found, settings.train, trainer->total_steps())) return std::string();
    fmt::print(report_stream(), "{} is complete: nothing is left to do\n",
               place.found->directory.path().string());
    if (!command.dry_run) tell_launcher(place.found->directory.result());
    return std::string("complete");
  });
  if (!complete.empty()) return ExitCode::kDone;
  auto checkpoint = share_checkpoint(world, place.found, *trainer);
  if (command.init_from && !checkpoint)
    world.together([&] { start_from(*command.init_from, *trainer); });

  // The folder comes last, so that what is refused leaves none.
  auto manifest = manifest_of(arguments, ranks, devices.names, data, team->size());
  manifest.exact_settings = devices.exact_settings;
  if (command.dry_run) return tell_plan(command, place, *training, world, manifest);
  std::unique_ptr<trainer::Observer> observer;
  const auto folder = world.from_rank_0([&] {
    take_place(place, command, config);
    const auto& directory = *place.directory;
    trainer::replace_text_file(directory.config(),
                               effective_config(config, trainer->model().observed()));
    trainer::write_manifest(directory.manifest(), manifest);
    std::fputs(settings_report(settings, description_of(*trainer, data, manifest, directory,
                                                        devices, world.session()))
                   .c_str(),
               report_stream());
    if (place.found) std::fputs(resumption_report(*place.found).c_str(), report_stream());
    std::fflush(report_stream());
    observer = observer_of(command, {.config = config,
                                     .trainer = *trainer,
                                     .data = data,
                                     .directory = directory,
                                     .lock = place.lock.get(),
                                     .steps_done = checkpoint ? checkpoint->step() : 0});
    if (devices.own.is_cpu() && settings.train.precision == "bf16" &&
        !models::has_bfloat16_instructions()) {
      observer->on_note(
          "this CPU has no bfloat16 instructions (AVX512-BF16 or AMX): train.precision=bf16 is "
          "emulated and slower than fp32");
    }
    return std::filesystem::absolute(directory.path()).string();
  });
  if (!first) place.directory.emplace(folder);
  if (ranks.size() > 1) log.keep(place.directory->log(world.session().rank()));
  const auto lock_epoch = world.from_rank_0([&] { return std::to_string(place.lock->epoch()); });

  watch_rank(world, settings.train, devices, folder);
  const auto successor = [&](const trainer::RunLock& lock) {
    observer = observer_of(command, {.config = config,
                                     .trainer = *trainer,
                                     .data = data,
                                     .directory = *place.directory,
                                     .lock = &lock,
                                     .steps_done = trainer->pack().rows[0].step});
    return observer.get();
  };
  const auto result = trainer::run_trial({.settings = settings,
                                          .data = data,
                                          .ranks = ranks,
                                          .directory = *place.directory,
                                          .observer = observer.get(),
                                          .interruption = interruption,
                                          .identity = identity,
                                          .lock = place.lock.get(),
                                          .lock_epoch = std::stoll(lock_epoch),
                                          .save_first = command.init_from.has_value(),
                                          .resumed = std::move(checkpoint),
                                          .successor = successor,
                                          .log = [&](const std::string& text) { log.tell(text); }},
                                         *trainer);
  observer.reset();
  if (result.written_here)
    std::fputs(summary_report(result, place.directory->path()).c_str(), report_stream());
  if (!result.error.empty())
    throw SharedError(static_cast<ExitCode>(result.exit_code),
                      result.written_here ? result.error : "");
  return static_cast<ExitCode>(result.exit_code);
}

}  // namespace elbow::launch
