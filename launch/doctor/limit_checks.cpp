// What the hosts allow, and their clocks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kShmPerRank = 16 * kMiB;      // of the file that Open MPI makes for each
constexpr int64_t kShmPerGpuRank = 128 * kMiB;  // NCCL has buffers there too
constexpr int64_t kLockedMemory = 1024 * kMiB;
constexpr int64_t kFilesBase = 256, kFilesPerRank = 4;
constexpr double kMemoryShare = 0.9;
constexpr double kSkewTold_s = 1, kSkewFault_s = 10;

void small_shm(const LaunchFacts& launch, const HostRanks& host, Findings& findings) {
  const auto& limits = host.ranks[0]->limits;
  const auto ranks = static_cast<int64_t>(host.ranks.size());
  if (ranks < 2) return;
  const bool gpu = !host.ranks[0]->gpus.visible.empty();
  const int64_t needed = ranks * (gpu ? kShmPerGpuRank : kShmPerRank) +
                         (launch.estimate ? launch.estimate->shared_memory_bytes : 0);
  if (limits.shm_free_bytes >= needed) return;
  findings.push_back(
      {.fault = true,
       .check = "limits",
       .what = limits.shm_bytes == 0
                   ? std::string("there is no /dev/shm")
                   : fmt::format("/dev/shm has {} free of {}, and {} ranks want {}",
                                 bytes_text(limits.shm_free_bytes), bytes_text(limits.shm_bytes),
                                 ranks, bytes_text(needed)),
       .where = named(host.ranks),
       .why = "ranks of a host add their gradients there: without room MPI or NCCL end with an "
              "obscure error or a bus error, or sums become slow messages",
       .remedy =
           fmt::format("give the container more (docker --shm-size=2g, Kubernetes an emptyDir "
                       "with medium Memory), remount it (mount -o remount,size={}M /dev/shm), "
                       "and remove what others left there",
                       std::max<int64_t>(2048, needed / kMiB + 1))});
}

void small_locked_memory(const HostRanks& host, Findings& findings) {
  const auto& rank = *host.ranks[0];
  const int64_t locked = rank.limits.locked_memory_bytes;
  if (rank.network.fabrics.empty() || locked < 0 || locked >= kLockedMemory) return;
  findings.push_back({.fault = true,
                      .check = "limits",
                      .what = fmt::format("{} may be locked in memory", bytes_text(locked)),
                      .where = named(host.ranks),
                      .why = "InfiniBand registers its buffers in locked memory, and fails, or is "
                             "left unused, where that is too little",
                      .remedy =
                          "set `ulimit -l unlimited` in the job; where that is refused the "
                          "administrator raises memlock in limits.conf, or in slurmd's unit"});
}

void few_files(const LaunchFacts& launch, const HostRanks& host, Findings& findings) {
  const int64_t needed = kFilesBase + kFilesPerRank * std::ssize(launch.ranks);
  const int64_t files = host.ranks[0]->limits.open_files;
  if (files >= needed) return;
  findings.push_back(
      {.fault = true,
       .check = "limits",
       .what = fmt::format("a process may open {} files, and {} are wanted", files, needed),
       .where = named(host.ranks),
       .why = "each rank holds connections to the others besides its own files",
       .remedy = "set `ulimit -n 65536` in the job before the launch"});
}

void little_memory(const HostRanks& host, Findings& findings) {
  int64_t used = 0;
  for (const RankFacts* rank : host.ranks) used += rank->memory_used_bytes;
  const int64_t all = host.ranks[0]->limits.memory_bytes;
  if (all == 0 || static_cast<double>(used) <= kMemoryShare * static_cast<double>(all)) return;
  findings.push_back({.fault = true,
                      .check = "limits",
                      .what = fmt::format("{} ranks use {} together after a few steps, and the job "
                                          "may use {}",
                                          host.ranks.size(), bytes_text(used), bytes_text(all)),
                      .where = named(host.ranks),
                      .why = "the kernel ends ranks when memory runs out",
                      .remedy =
                          "ask for more memory (Slurm: --mem), start fewer ranks on the host, "
                          "or leave large data on disk (data.in_memory=false)"});
}

}  // namespace

void check_limits(const LaunchFacts& launch, Findings& findings) {
  for (const auto& host : by_host(launch)) {
    small_shm(launch, host, findings);
    small_locked_memory(host, findings);
    few_files(launch, host, findings);
    little_memory(host, findings);
  }
}

void check_clocks(const LaunchFacts& launch, Findings& findings) {
  for (const auto& host : by_host(launch)) {
    const auto& clock = host.ranks[0]->clock;
    const double skew_s = std::abs(clock.offset_s) - clock.uncertainty_s;
    if (skew_s < kSkewTold_s) continue;
    findings.push_back(
        {.fault = skew_s >= kSkewFault_s,
         .check = "clocks",
         .what = fmt::format("the clock is {:.1f} s {} rank 0's", std::abs(clock.offset_s),
                             clock.offset_s > 0 ? "ahead of" : "behind"),
         .where = named(host.ranks),
         .why = "the end of a job's time, and the times of files and logs, do not fit together",
         .remedy = "the administrator starts time synchronisation there (chronyc tracking, "
                   "timedatectl); until then raise train.time_margin by as much"});
  }
}

}  // namespace elbow::launch::doctor
