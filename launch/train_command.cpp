#include <cstdio>

#include "launch/commands.h"
#include "launch/config.h"
#include "launch/effective_config.h"
#include "launch/run_folder.h"
#include "trainer/atomic_file.h"

namespace elbow::launch {

ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments) {
  const auto config = parse_config(command.config, command.words, current_environment());
  const auto run = create_run_folder(command.out, config.name);
  const std::string text = effective_config(config, /*observed=*/std::nullopt);
  trainer::write_file_atomically(run.config(), text);
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
