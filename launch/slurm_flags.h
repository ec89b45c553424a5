// Flags of `elbow slurm`, and the job that they ask for.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launch/slurm_job.h"

namespace elbow::launch {

struct SlurmFlags {
  std::string kind = "train";
  std::string launcher = "mpirun";
  std::string name, out, elbow, container, partition, ranks_per_node;
  std::string time = "1:00:00";
  std::string nodes = "1";
  std::string cores_per_rank = "4";
  std::string gpus_per_node = "0";
  std::string shards = "8";
  std::vector<std::string> modules, sbatch;

  void add_to(CLI::App& verb);
};

// Throws UsageError.
SlurmJob slurm_job(const SlurmFlags& flags, std::optional<std::filesystem::path> config,
                   std::vector<std::string> words, bool shards_given);

}  // namespace elbow::launch
