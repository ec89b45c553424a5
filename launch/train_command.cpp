#include <cstdio>

#include "launch/commands.h"
#include "launch/config.h"
#include "launch/effective_config.h"
#include "launch/run_folder.h"
#include "trainer/dataset.h"
#include "trainer/text_file.h"

namespace elbow::launch {

// The data comes before the folder, so that bad data leaves none.
ExitCode run_train(const TrainCommand& command, const std::vector<std::string>& arguments) {
  const auto config = parse_config(command.config, command.words, current_environment());
  const auto dataset = trainer::load_dataset(config.settings.data);
  const auto run = create_run_folder(command.out, config.name);
  const std::string text = effective_config(config, dataset.observed());
  trainer::replace_text_file(run.config(), text);
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
