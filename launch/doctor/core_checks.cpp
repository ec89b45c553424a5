// Cores and binding, host by host.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

struct Cores {
  std::vector<int> together;  // that any rank of the host may use
  int64_t of_host = 0;
  int64_t ranks = 0;
  int64_t threads = 0;
  bool alike = true;  // every rank may use all of them
  bool threads_chosen = false;
};

Cores cores_of(const HostRanks& host) {
  Cores cores{.ranks = static_cast<int64_t>(host.ranks.size())};
  std::set<int> together;
  for (const RankFacts* rank : host.ranks) {
    together.insert(rank->cores.allowed.begin(), rank->cores.allowed.end());
    cores.of_host = std::max(cores.of_host, rank->cores.of_host);
    cores.threads += rank->cores.threads;
    cores.threads_chosen |= rank->cores.threads_chosen;
    cores.alike &= rank->cores.allowed == host.ranks[0]->cores.allowed;
  }
  cores.together.assign(together.begin(), together.end());
  return cores;
}

std::string how_to_unbind(const RankFacts& rank) {
  if (rank.mpi.launcher == "srun")
    return "ask for the cores with --cpus-per-task=N, and give srun --cpu-bind=none or "
           "--cpus-per-task=N as well";
  return "start with launch/elbow -n RANKS, or give mpirun --bind-to none; where taskset, a "
         "container or a batch job allows no more, ask there for more cores";
}

// Ranks that take turns on a core, or sit on one each beside idle ones.
bool one_core_trap(const HostRanks& host, const Cores& cores, Findings& findings) {
  const auto together = static_cast<int64_t>(cores.together.size());
  const bool crowded = together < cores.ranks && together < cores.of_host;
  std::vector<const RankFacts*> alone;
  for (const RankFacts* rank : host.ranks)
    if (rank->cores.allowed.size() == 1) alone.push_back(rank);
  const bool idle = !alone.empty() && cores.of_host >= 2 * cores.ranks;
  if (!crowded && !idle) return false;
  const auto what =
      crowded ? fmt::format("{} ranks share core{} {} of the host's {}", cores.ranks,
                            together == 1 ? "" : "s", ranges_text(cores.together), cores.of_host)
              : fmt::format("{} bound to one core, and the host has {}",
                            alone.size() == 1 ? "a rank is"
                                              : fmt::format("{} ranks are each", alone.size()),
                            cores.of_host);
  findings.push_back({.fault = true,
                      .check = "cores",
                      .what = what,
                      .where = named(crowded ? host.ranks : alone),
                      .why = "all threads of a rank take turns on its cores, so that training is "
                             "several times slower, while other cores idle",
                      .remedy = how_to_unbind(*host.ranks[0])});
  return true;
}

void too_many_threads(const HostRanks& host, const Cores& cores, Findings& findings) {
  const auto together = static_cast<int64_t>(cores.together.size());
  if (together == 0 || cores.threads <= together) return;
  findings.push_back(
      {.fault = false,
       .check = "cores",
       .what = fmt::format("{} threads of {} rank{} share {} core{}", cores.threads, cores.ranks,
                           cores.ranks == 1 ? "" : "s", together, together == 1 ? "" : "s"),
       .where = named(host.ranks),
       .why = "they take turns, and every sum waits for the slowest",
       .remedy = cores.threads_chosen
                     ? fmt::format("leave train.threads at auto, or set at most {}",
                                   std::max<int64_t>(1, together / cores.ranks))
                     : fmt::format("start at most {} ranks on this host", together)});
}

void idle_cores(const HostRanks& host, const Cores& cores, Findings& findings) {
  const auto together = static_cast<int64_t>(cores.together.size());
  if (cores.alike || cores.threads_chosen || 2 * cores.threads > together) return;
  findings.push_back(
      {.fault = false,
       .check = "cores",
       .what = fmt::format("{} threads would compute on {} cores", cores.threads, together),
       .where = named(host.ranks),
       .why = "each rank may use cores of its own and takes only its share of them, because ranks "
              "expect to share all cores of their host",
       .remedy = "give mpirun --bind-to none, or set train.threads to the cores of one rank"});
}

void small_quota(const HostRanks& host, const Cores& cores, Findings& findings) {
  constexpr double kTolerance = 1.25;
  const double quota = host.ranks[0]->cores.quota;
  if (quota <= 0 || static_cast<double>(cores.threads) <= kTolerance * quota) return;
  findings.push_back(
      {.fault = false,
       .check = "cores",
       .what = fmt::format("{} threads would compute, and the container grants the time of {:.3g} "
                           "cores",
                           cores.threads, quota),
       .where = named(host.ranks),
       .why = "the kernel stops all of them for the rest of each tenth of a second once that is "
              "used up",
       .remedy = fmt::format("raise the container's CPU limit, or set train.threads={}",
                             std::max<int64_t>(1, static_cast<int64_t>(quota) / cores.ranks))});
}

}  // namespace

void check_cores(const LaunchFacts& launch, Findings& findings) {
  for (const auto& host : by_host(launch)) {
    const auto cores = cores_of(host);
    if (one_core_trap(host, cores, findings)) continue;
    too_many_threads(host, cores, findings);
    idle_cores(host, cores, findings);
    small_quota(host, cores, findings);
  }
}

}  // namespace elbow::launch::doctor
