#include "launch/commands.h"

#include <cstdio>

#include "launch/world.h"

namespace elbow::launch {
namespace {

bool needs_ranks(const Command& command) {
  return !std::holds_alternative<ConfigCommand>(command) &&
         !std::holds_alternative<ReportCommand>(command) &&
         !std::holds_alternative<SlurmCommand>(command) &&
         !std::holds_alternative<ShowText>(command);
}

ExitCode run_alone(const Command& command, const std::vector<std::string>& arguments) {
  if (const auto* config = std::get_if<ConfigCommand>(&command)) return run_config(*config);
  if (const auto* report = std::get_if<ReportCommand>(&command)) return run_report(*report);
  if (const auto* slurm = std::get_if<SlurmCommand>(&command)) return run_slurm(*slurm, arguments);
  std::fputs(std::get<ShowText>(command).text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace

ExitCode run_command(const std::vector<std::string>& arguments) {
  if (!under_launcher()) {
    const Command command = parse_command_line(arguments);
    if (!needs_ranks(command)) return run_alone(command, arguments);
  }
  // Under a launcher even a mistyped command needs MPI, so that it is told once and all ranks leave
  // alike.
  World world;
  return world.run([&] {
    std::optional<Command> command;
    world.together([&] { command = parse_command_line(arguments); });
    if (const auto* train = std::get_if<TrainCommand>(&*command))
      return run_train(*train, arguments, world);
    if (const auto* sweep = std::get_if<SweepCommand>(&*command))
      return run_sweep(*sweep, arguments, world);
    if (const auto* bench = std::get_if<BenchCommand>(&*command)) return run_bench(*bench, world);
    if (const auto* doctor = std::get_if<DoctorCommand>(&*command))
      return run_doctor(*doctor, world);
    if (std::holds_alternative<ReportCommand>(*command) ||
        std::holds_alternative<SlurmCommand>(*command)) {
      world.from_rank_0([&] {
        run_alone(*command, arguments);
        return std::string();
      });
      return ExitCode::kDone;
    }
    if (const auto* evaluate = std::get_if<EvaluateCommand>(&*command))
      return run_evaluate(*evaluate, world);
    if (const auto* encode = std::get_if<EncodeCommand>(&*command))
      return run_encode(*encode, world);
    if (const auto* sample = std::get_if<SampleCommand>(&*command))
      return run_sample(*sample, world);
    if (const auto* exported = std::get_if<ExportCommand>(&*command))
      return run_export(*exported, world);
    return world.ranks().rank() == 0 ? run_alone(*command, arguments) : ExitCode::kDone;
  });
}

}  // namespace elbow::launch
