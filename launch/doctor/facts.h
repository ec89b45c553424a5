// What each rank of a launch sees: plain data, so that it can travel as text, be made up in tests,
// and be judged without the machine (checks.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace elbow::launch::doctor {

struct CoreFacts {
  std::vector<int> allowed;     // CPU numbers that this rank may run on, ascending
  int64_t of_host = 0;          // that the host has
  double quota = 0;             // CPUs' worth of time that a container grants; 0: no limit
  int64_t threads = 0;          // that this rank would compute with
  bool threads_chosen = false;  // by train.threads
  std::string model;            // of the CPU
  std::string mkl_branch;       // the best that it has: avx512, avx2 or none
};

struct Gpu {
  std::string uuid;
  std::string name;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;
};

struct GpuFacts {
  std::vector<Gpu> visible;  // in the order of the rank's device indices
  std::string none_because;  // where there are none
};

struct MpiFacts {
  std::string library;  // "Open MPI v5.0.11"
  std::string thread_level;
  std::string launcher;  // mpirun, srun or none
  bool fault_tolerant = false;
  std::string coll;                     // Open MPI's setting in force; "" where it chooses
  std::string pml;                      // likewise
  std::string btl;                      // likewise
  std::vector<std::string> transports;  // libraries for fast networks that MPI has opened
};

struct Interface {
  std::string name;
  std::string address;  // IPv4, "10.0.0.1/24"
  int64_t mtu = 0;
};

struct NetworkFacts {
  std::vector<Interface> interfaces;  // that are up, without loopback
  std::vector<std::string> fabrics;   // InfiniBand and RoCE devices with an active port
};

struct LimitFacts {
  int64_t shm_bytes = 0;  // size of /dev/shm; 0: there is none
  int64_t shm_free_bytes = 0;
  int64_t locked_memory_bytes = -1;  // -1: no limit
  int64_t open_files = 0;
  int64_t memory_bytes = 0;  // that the ranks of this host may use together
};

// Against the clock of rank 0.
struct ClockFacts {
  double offset_s = 0;
  double uncertainty_s = 0;
};

struct DataFile {
  std::string name;
  std::string hash;
};

struct DataFacts {
  std::vector<DataFile> files;
  std::string error;  // why the data cannot be used
};

// The folder that runs go into, tried together.
struct FolderFacts {
  std::string path;
  std::string filesystem;
  int64_t free_bytes = 0;
  std::string write_error;   // "": this rank can write there
  bool shared = true;        // it sees what rank 0 wrote there, and rank 0 what it wrote
  std::string rename_error;  // "": a name that rank 0 changed is seen changed
  std::string lock_error;    // "": a lock that rank 0 holds is respected
  double seen_after_s = 0;   // what rank 0 wrote
};

struct RankFacts {
  int rank = 0;
  std::string host;
  CoreFacts cores;
  GpuFacts gpus;
  std::map<std::string, std::string> versions;  // by what; "" where it is not there
  MpiFacts mpi;
  NetworkFacts network;
  LimitFacts limits;
  ClockFacts clock;
  DataFacts data;
  FolderFacts folder;
  int64_t memory_used_bytes = 0;  // by this process at most, after the measured steps
};

// Sums over all ranks, measured.
struct SumFacts {
  std::string backend;
  double latency_s = 0;         // of 8 bytes
  int64_t bytes = 0;            // of the large sum
  double bytes_per_second = 0;  // its size over its time
};

// What a configuration would take.
struct Estimate {
  std::string config;
  std::string devices;  // one sentence
  int64_t parameters = 0;
  int64_t steps = 0;
  int64_t steps_per_epoch = 0;
  double step_s = 0;
  double evaluation_s = 0;  // one, of the split that is measured after each epoch
  double total_s = 0;
  int64_t checkpoint_bytes = 0;     // one
  int64_t shared_memory_bytes = 0;  // in /dev/shm of a host that has all ranks
};

struct LaunchFacts {
  std::vector<RankFacts> ranks;  // in their order; at least one
  std::vector<SumFacts> sums;    // none for one rank
  std::optional<Estimate> estimate;
  std::string estimate_error;  // why there is none
};

// One line of JSON and back. `text` may lack members, which then have their defaults.
std::string text_of(const RankFacts& facts);
RankFacts rank_facts_from(const std::string& text);

// The facts with what a JSON object says in their place (RFC 7386, as in {"limits":
// {"shm_bytes": 0}}).   Throws std::invalid_argument.
RankFacts replaced(const RankFacts& facts, const std::string& patch);

}  // namespace elbow::launch::doctor
