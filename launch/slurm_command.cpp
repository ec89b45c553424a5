#include <fmt/format.h>

#include <cstdio>

#include "launch/commands.h"
#include "launch/config.h"
#include "launch/slurm_script.h"
#include "launch/sweep/sweep_config.h"

namespace elbow::launch {

// A job that would end at its first line after a night in the queue is refused now.
ExitCode run_slurm(const SlurmCommand& command, const std::vector<std::string>& arguments) {
  const auto& job = command.job;
  if (job.sweep) {
    const auto sweep = sweep::parse_sweep(*job.config, job.words, current_environment());
    if (job.shards > sweep.space.trials()) {
      throw UsageError(
          fmt::format("--shards = {} (command line) is more than the sweep's {} trials: some jobs "
                      "would have none",
                      job.shards, sweep.space.trials()));
    }
  } else {
    parse_config(job.config, job.words, current_environment());
  }
  std::fputs(slurm_script(job, arguments).c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
