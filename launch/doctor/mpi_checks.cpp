// The MPI of the launch, and the network below it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

constexpr double kSlowBytesPerSecond = 20e6;  // a fifth of what gigabit Ethernet gives

std::vector<const RankFacts*> all_ranks(const LaunchFacts& launch) {
  std::vector<const RankFacts*> ranks;
  for (const auto& rank : launch.ranks) ranks.push_back(&rank);
  return ranks;
}

// 5 of "Open MPI v5.0.11"; 0 of another MPI.
int open_mpi_major(const std::string& library) {
  const std::string name = "Open MPI v";
  return library.starts_with(name) ? std::atoi(library.c_str() + name.size()) : 0;
}

// Under Open MPI 5's mpirun on one host it is a flag away; elsewhere it is known not to be there.
void lost_ranks(const LaunchFacts& launch, Findings& findings) {
  const auto& mpi = launch.ranks[0].mpi;
  if (launch.ranks.size() < 2 || mpi.fault_tolerant) return;
  const int major = open_mpi_major(mpi.library);
  const bool flag_away = major >= 5 && mpi.launcher == "mpirun";
  const bool one_host = by_host(launch).size() == 1;
  findings.push_back(
      {.fault = flag_away && one_host,
       .check = "mpi",
       .what = "a lost rank cannot be survived: ULFM, MPI's fault tolerance, is off",
       .where = fmt::format("{} under {}", mpi.library, mpi.launcher),
       .why = "when one rank dies the whole job ends, and the work since its last checkpoint is "
              "done again",
       .remedy =
           flag_away ? "start with launch/elbow -n RANKS --heal, or give mpirun --with-ft ulfm; "
                       "elbow sees to the other settings that it needs"
           : major >= 5
               ? "start with mpirun --with-ft ulfm inside the allocation instead of srun; or let "
                 "checkpoint.every_minutes be short, and the job be started again with --resume "
                 "auto"
               : "use Open MPI 5 (the build's own is one); or let checkpoint.every_minutes be "
                 "short, and start the job again with --resume auto"});
}

bool uses_han(const std::string& coll) {
  const bool named = coll.find("han") != std::string::npos;
  return coll.starts_with("^") || coll.empty() ? !named : named;
}

void wrong_sums(const LaunchFacts& launch, Findings& findings) {
  const auto& mpi = launch.ranks[0].mpi;
  if (open_mpi_major(mpi.library) < 5 || !mpi.fault_tolerant || by_host(launch).size() < 2 ||
      !uses_han(mpi.coll))
    return;
  findings.push_back(
      {.fault = true,
       .check = "mpi",
       .what = fmt::format("Open MPI's component han is on (coll = {})",
                           mpi.coll.empty() ? "its default" : mpi.coll),
       .where = "all ranks",
       .why = "over several hosts a sum that a death interrupts can then be wrong on all "
              "survivors, without a word",
       .remedy = "leave OMPI_MCA_coll unset, so that elbow sets it, or set it to ^han"});
}

void untested(const LaunchFacts& launch, Findings& findings) {
  const auto& library = launch.ranks[0].mpi.library;
  if (open_mpi_major(library) > 0) return;
  findings.push_back({.fault = false,
                      .check = "mpi",
                      .what = fmt::format("elbow is untested with {}", library),
                      .where = "all ranks",
                      .why = "binding, signals, exit codes and lost ranks are known with Open MPI "
                             "only",
                      .remedy = "build with Open MPI 4.1 or newer; the build's own is one"});
}

void thread_level(const LaunchFacts& launch, Findings& findings) {
  const auto& level = launch.ranks[0].mpi.thread_level;
  if (level == "MPI_THREAD_MULTIPLE") return;
  findings.push_back({.fault = true,
                      .check = "mpi",
                      .what = fmt::format("MPI grants {} only", level),
                      .where = "all ranks",
                      .why = "elbow's threads call MPI at the same time",
                      .remedy = "use an MPI that was built with MPI_THREAD_MULTIPLE"});
}

// docker0 and its like have the same address on every host.
void equal_addresses(const LaunchFacts& launch, Findings& findings) {
  std::map<std::string, std::vector<const RankFacts*>> users;
  std::map<std::string, std::string> interface_of;
  for (const auto& host : by_host(launch)) {
    for (const auto& interface : host.ranks[0]->network.interfaces) {
      users[interface.address].push_back(host.ranks[0]);
      interface_of[interface.address] = interface.name;
    }
  }
  for (const auto& [address, hosts] : users) {
    if (hosts.size() < 2) continue;
    findings.push_back(
        {.fault = true,
         .check = "network",
         .what = fmt::format("interface {} has the address {} on several hosts",
                             interface_of[address], address),
         .where = named(hosts),
         .why = "MPI and NCCL may try to reach another host by it, and reach themselves, or hang",
         .remedy =
             fmt::format("set OMPI_MCA_btl_tcp_if_exclude=lo,{0} and NCCL_SOCKET_IFNAME=^lo,{0} "
                         "in the job, or name the right interface",
                         interface_of[address])});
  }
}

void unused_fabric(const LaunchFacts& launch, Findings& findings) {
  const auto& first = launch.ranks[0];
  const bool tcp = first.mpi.pml == "ob1" && first.mpi.btl.find("tcp") != std::string::npos;
  const bool everywhere = std::ranges::all_of(
      launch.ranks, [](const RankFacts& rank) { return !rank.network.fabrics.empty(); });
  if (!tcp || !everywhere) return;
  findings.push_back(
      {.fault = false,
       .check = "network",
       .what = fmt::format("{} is there, and MPI uses TCP (pml = {}, btl = {})",
                           fmt::join(first.network.fabrics, ", "), first.mpi.pml, first.mpi.btl),
       .where = named(all_ranks(launch)),
       .why = "sums over CPUs are several times slower; Open MPI's fault tolerance "
              "works over TCP and shared memory only",
       .remedy = "where speed matters more than surviving a lost rank, start "
                 "without --with-ft ulfm; NCCL between GPUs uses it either way"});
}

void unlike_mtus(const LaunchFacts& launch, Findings& findings) {
  std::map<std::string, std::pair<int64_t, const RankFacts*>> known;  // by interface
  for (const auto& host : by_host(launch)) {
    for (const auto& interface : host.ranks[0]->network.interfaces) {
      const auto [place, fresh] = known.try_emplace(interface.name, interface.mtu, host.ranks[0]);
      const auto& [mtu, first] = place->second;
      if (fresh || mtu == interface.mtu) continue;
      findings.push_back(
          {.fault = false,
           .check = "network",
           .what = fmt::format("interface {} has MTU {} on one host and {} on another",
                               interface.name, mtu, interface.mtu),
           .where = named({first, host.ranks[0]}),
           .why = "large messages between them may be dropped, which looks like a hang",
           .remedy = "set the MTU alike on all hosts, and on the switches between them"});
      return;
    }
  }
}

void slow_sums(const LaunchFacts& launch, Findings& findings) {
  for (const auto& sum : launch.sums) {
    if (sum.bytes_per_second >= kSlowBytesPerSecond) continue;
    findings.push_back(
        {.fault = false,
         .check = "network",
         .what = fmt::format("sums of {} over the ranks run at {:.1f} MB/s ({})",
                             bytes_text(sum.bytes), sum.bytes_per_second * 1e-6, sum.backend),
         .where = named(all_ranks(launch)),
         .why = "every step sums the gradients of all ranks",
         .remedy = "see which interface is used (OMPI_MCA_btl_tcp_if_include chooses), and whether "
                   "cores or network are busy with other work; or train on fewer hosts"});
  }
}

}  // namespace

void check_mpi(const LaunchFacts& launch, Findings& findings) {
  untested(launch, findings);
  thread_level(launch, findings);
  lost_ranks(launch, findings);
  wrong_sums(launch, findings);
}

void check_network(const LaunchFacts& launch, Findings& findings) {
  if (by_host(launch).size() < 2) return;
  equal_addresses(launch, findings);
  unused_fabric(launch, findings);
  unlike_mtus(launch, findings);
  slow_sums(launch, findings);
}

}  // namespace elbow::launch::doctor
