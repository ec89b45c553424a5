// What elbow asks of Open MPI before MPI_Init, and how it recognises a launch that went wrong. Pure
// functions of the environment; mpi_session applies them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbow::comm {

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The environment of this process.
std::optional<std::string> process_environment(const std::string& name);

// Variables to set, name and value. A variable that is set already (`mpirun --mca` sets them too)
// is left alone; values in Open MPI's own parameter files do not count as set.
//
// coll = ^han, always.
//   Over several hosts `han` can return success with a wrong sum when a rank dies.
// mpi_yield_when_idle = 1, always.
//   A rank that waits lets the threads of others compute. On two busy cores a sum of 3.2 MB over
//   two ranks took 1 to 3 ms; without, 7 to 31 ms.
// btl = self,sm,tcp and pml = ob1, on one host, and with fault tolerance, which needs them.
//   Probing the other transports takes one second. On several hosts without fault tolerance Open
//   MPI chooses, so that InfiniBand and the like are used. Both stay if the user has set either.
//   Without a launcher btl = self: Open MPI 5.0 leaves a file of 16 MB in /dev/shm behind for every
//   world of one that opens its shared memory.
std::vector<std::pair<std::string, std::string>> mpi_settings(const Environment& environment,
                                                              int open_mpi_major);

// This process among those of its job, as its launcher tells before MPI is up; nothing without a
// launcher.
struct LaunchedPlace {
  std::string job;  // a name that only the job's ranks know, without slashes
  int rank;
  int size;
};
std::optional<LaunchedPlace> launched_place(const Environment& environment);

// Whether the launch asked Open MPI to look for ranks that do not answer: `--mca mpi_ft_detector
// 1`.
bool detects_lost_hosts(const Environment& environment);

// Why this world cannot be what the user started, or "". Under Slurm without its PMIx plugin every
// task silently becomes a world of one. A launch by mpirun knows its own size, which may be smaller
// than the allocation.
std::string launch_mistake(const Environment& environment, int world_size);

}  // namespace elbow::comm
