// A job for Slurm, as `elbow slurm` is asked for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace elbow::launch {

struct SlurmJob {
  std::optional<std::filesystem::path> config;  // unset: the built-in kl_vae.cfg
  std::vector<std::string> words;               // key=value
  bool sweep = false;                           // else one run
  int64_t shards = 0;                           // jobs of an array that share a sweep; 0: no array
  bool requeue = false;                         // goes back into the queue until it is complete
  bool srun = false;      // starts the ranks with Slurm's own srun, instead of mpirun
  std::string name;       // in the queue
  std::string out;        // the run's or the sweep's folder
  std::string elbow;      // launch/elbow, as the nodes find it
  std::string container;  // an Apptainer image with elbow in it; "": none
  int64_t nodes = 1;
  int64_t ranks_per_node = 1;
  int64_t cores_per_rank = 1;
  int64_t gpus_per_node = 0;
  std::string time;       // limit, in Slurm's notation
  std::string partition;  // "": the cluster's default
  std::vector<std::string>
      modules;  // lines for the shell before it starts, such as "module load openmpi"
  std::vector<std::string> sbatch;  // further options of sbatch
};

}  // namespace elbow::launch
