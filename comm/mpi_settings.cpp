#include "comm/mpi_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace elbow::comm {
namespace {

bool launched(const Environment& environment) {
  return environment("OMPI_COMM_WORLD_SIZE") || environment("PMIX_RANK");
}

bool one_host(const Environment& environment) {
  if (const auto size = environment("OMPI_COMM_WORLD_SIZE")) {
    return environment("OMPI_COMM_WORLD_LOCAL_SIZE") == size;
  }
  if (environment("PMIX_RANK")) return environment("SLURM_STEP_NUM_NODES") == "1";
  return true;  // no launcher
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::vector<std::pair<std::string, std::string>> mpi_settings(const Environment& environment,
                                                              int open_mpi_major) {
  std::vector<std::pair<std::string, std::string>> settings;
  if (!environment("OMPI_MCA_coll")) settings.emplace_back("OMPI_MCA_coll", "^han");

  if (!environment("OMPI_MCA_mpi_yield_when_idle")) {
    settings.emplace_back("OMPI_MCA_mpi_yield_when_idle", "1");
  }

  const bool user_chose = environment("OMPI_MCA_btl") || environment("OMPI_MCA_pml");
  const bool fault_tolerant = environment("OMPI_MCA_mpi_ft_enable").value_or("0") != "0";
  if (!user_chose && !launched(environment)) {
    settings.emplace_back("OMPI_MCA_btl", "self");
    settings.emplace_back("OMPI_MCA_pml", "ob1");
  } else if (!user_chose && (one_host(environment) || fault_tolerant)) {
    // Shared memory is called vader before version 5.
    settings.emplace_back("OMPI_MCA_btl", open_mpi_major < 5 ? "self,vader,tcp" : "self,sm,tcp");
    settings.emplace_back("OMPI_MCA_pml", "ob1");
  }
  return settings;
}

std::optional<LaunchedPlace> launched_place(const Environment& environment) {
  const auto number = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const auto value = environment(name)) return std::atoi(value->c_str());
    }
    return -1;
  };
  LaunchedPlace place{.job = environment("PMIX_NAMESPACE").value_or(""),
                      .rank = number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK"}),
                      .size = number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"})};
  if (place.job.empty() || place.rank < 0 || place.rank >= place.size) return std::nullopt;
  std::ranges::replace(place.job, '/', '-');
  return place;
}

bool detects_lost_hosts(const Environment& environment) {
  const auto asked = environment("OMPI_MCA_mpi_ft_detector").value_or("0");
  return asked == "1" || asked == "true";
}

std::string launch_mistake(const Environment& environment, int world_size) {
  if (environment("OMPI_COMM_WORLD_SIZE")) return "";
  for (const char* name : {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}) {
    const auto tasks = environment(name);
    if (!tasks) continue;
    if (*tasks == std::to_string(world_size)) return "";
    return fmt::format(
        "Slurm started {} tasks ({}) but MPI sees a world of {}; start with `srun --mpi=pmix`, or "
        "with mpirun inside the "
        "allocation",
        *tasks, name, world_size);
  }
  return "";
}

}  // namespace elbow::comm
