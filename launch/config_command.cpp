#include <cstdio>

#include "launch/commands.h"
#include "launch/config.h"
#include "launch/effective_config.h"

namespace elbow::launch {

ExitCode run_config(const ConfigCommand& command) {
  if (command.keys) {
    std::fputs(settings_help().c_str(), stdout);
    return ExitCode::kDone;
  }
  const auto config = parse_config(command.config, command.words, current_environment());
  const std::string text = effective_config(config, /*observed=*/std::nullopt, Origins::kAsComments);
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
