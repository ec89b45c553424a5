#include "launch/commands.h"

#include <cstdio>

namespace elbow::launch {

ExitCode run_command(const std::vector<std::string>& arguments) {
  const Command command = parse_command_line(arguments);
  if (const auto* train = std::get_if<TrainCommand>(&command)) return run_train(*train, arguments);
  if (const auto* config = std::get_if<ConfigCommand>(&command)) return run_config(*config);
  std::fputs(std::get<ShowText>(command).text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
