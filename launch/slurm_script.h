// The batch script of a Slurm job, with a comment for each line. Pure: from a job to a text.
//
// The script runs `elbow train` or `elbow sweep` with --resume auto, passes Slurm's signals on, and
// decides by result.json whether the job is done, has failed, or goes on later. launch/slurm/ holds
// scripts that this makes.
#pragma once

#include <string>
#include <vector>

#include "launch/slurm_job.h"

namespace elbow::launch {

// `arguments`: those of the command that asks for the job, for the script's head.
std::string slurm_script(const SlurmJob& job, const std::vector<std::string>& arguments);

// `word` as a shell reads it back: quoted where it must be.
std::string shell_word(const std::string& word);

}  // namespace elbow::launch
