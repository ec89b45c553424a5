#include "launch/doctor/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "launch/doctor/estimate.h"
#include "launch/doctor/facts_json.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

std::string launch_lines(const LaunchFacts& launch) {
  const auto& first = launch.ranks[0];
  const auto hosts = by_host(launch).size();
  const auto& mpi = first.mpi;
  std::string text =
      fmt::format("launch     {} rank{} on {} host{}, started by {}\n", launch.ranks.size(),
                  launch.ranks.size() == 1 ? "" : "s", hosts, hosts == 1 ? "" : "s",
                  mpi.launcher == "none" ? "no launcher" : mpi.launcher);
  text += fmt::format(
      "mpi        {}, {}, {}; pml {}, btl {}, coll {}{}\n", mpi.library, mpi.thread_level,
      mpi.fault_tolerant ? "survives lost ranks (ULFM)" : "no fault tolerance",
      mpi.pml.empty() ? "MPI's choice" : mpi.pml, mpi.btl.empty() ? "MPI's choice" : mpi.btl,
      mpi.coll.empty() ? "MPI's choice" : mpi.coll,
      mpi.transports.empty() || !mpi.pml.empty()
          ? ""
          : fmt::format("; has opened {}", fmt::join(mpi.transports, ", ")));
  std::vector<std::string> versions;
  for (const auto& [name, version] : first.versions)
    if (!version.empty()) versions.push_back(name + " " + version);
  return text + fmt::format("versions   {}\n", fmt::join(versions, ", "));
}

std::string interfaces_text(const NetworkFacts& network) {
  std::vector<std::string> parts;
  for (const auto& interface : network.interfaces)
    parts.push_back(fmt::format("{} {}", interface.name, interface.address));
  for (const auto& fabric : network.fabrics) parts.push_back(fabric);
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string host_lines(const LaunchFacts& launch) {
  std::string text;
  for (const auto& host : by_host(launch)) {
    const auto& first = *host.ranks[0];
    const auto& limits = first.limits;
    text += fmt::format("host       {}: {} ranks, {} cores ({}), {} of memory\n", host.host,
                        host.ranks.size(), first.cores.of_host, first.cores.model,
                        bytes_text(limits.memory_bytes));
    text += fmt::format(
        "           /dev/shm {} free of {}, locked memory {}, open files {}, interfaces {}\n",
        bytes_text(limits.shm_free_bytes), bytes_text(limits.shm_bytes),
        limits.locked_memory_bytes < 0 ? "unlimited" : bytes_text(limits.locked_memory_bytes),
        limits.open_files, interfaces_text(first.network));
    text += fmt::format("           clock {:+.3f} s against rank 0's, to within {:.3f} s\n",
                        first.clock.offset_s, first.clock.uncertainty_s);
  }
  return text;
}

std::string rank_lines(const LaunchFacts& launch) {
  constexpr size_t kMost = 64;
  std::string text;
  for (const auto& rank : launch.ranks) {
    if (text.empty()) text = "rank       host, cores, threads, device, memory so far\n";
    if (static_cast<size_t>(rank.rank) >= kMost)
      return text + fmt::format("           and {} more\n", launch.ranks.size() - kMost);
    std::vector<std::string> gpus;
    for (const auto& gpu : rank.gpus.visible) gpus.push_back(gpu.name + " " + gpu.uuid);
    text += fmt::format("  {:>7}  {}, {}, {}, {}, {}\n", rank.rank, rank.host,
                        ranges_text(rank.cores.allowed), rank.cores.threads,
                        gpus.empty() ? "cpu" : fmt::format("{}", fmt::join(gpus, " + ")),
                        bytes_text(rank.memory_used_bytes));
  }
  return text;
}

std::string measured_lines(const LaunchFacts& launch) {
  std::string text;
  const auto& first = launch.ranks[0];
  if (!first.data.files.empty()) {
    std::vector<std::string> files;
    for (const auto& file : first.data.files)
      files.push_back(fmt::format("{} {}", file.name, file.hash.substr(0, 8)));
    text += fmt::format("data       {}\n", fmt::join(files, ", "));
  }
  if (!first.folder.path.empty())
    text += fmt::format("folder     {} ({}, {} free)\n", first.folder.path, first.folder.filesystem,
                        bytes_text(first.folder.free_bytes));
  for (const auto& sum : launch.sums)
    text += fmt::format("sums       {:.1f} us for 8 bytes, {:.2f} GB/s for {} ({})\n",
                        sum.latency_s * 1e6, sum.bytes_per_second * 1e-9, bytes_text(sum.bytes),
                        sum.backend);
  if (launch.estimate) {
    text += fmt::format("devices    {}\n", launch.estimate->devices);
    text += estimate_text(*launch.estimate);
  }
  return text;
}

std::string finding_text(const Finding& finding) {
  return fmt::format("\n{}  {}: {}\n  where  {}\n  why    {}\n  do     {}\n",
                     finding.fault ? "FAULT " : "advice", finding.check, finding.what,
                     finding.where, finding.why, finding.remedy);
}

}  // namespace

bool any_fault(const Findings& findings) { return std::ranges::any_of(findings, &Finding::fault); }

std::string report_text(const LaunchFacts& launch, const Findings& findings) {
  std::string text =
      launch_lines(launch) + host_lines(launch) + rank_lines(launch) + measured_lines(launch);
  for (const auto& finding : findings) text += finding_text(finding);
  if (findings.empty()) return text + "\nhealthy: nothing was found\n";
  const auto faults = std::ranges::count_if(findings, &Finding::fault);
  const auto advice = std::ssize(findings) - faults;
  return text + fmt::format("\n{}{} fault{}, {} piece{} of advice\n",
                            faults == 0 ? "healthy: " : "", faults, faults == 1 ? "" : "s", advice,
                            advice == 1 ? "" : "s");
}

std::string report_json(const LaunchFacts& launch, const Findings& findings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const auto& finding : findings)
    list.push_back({{"fault", finding.fault},
                    {"check", finding.check},
                    {"what", finding.what},
                    {"where", finding.where},
                    {"why", finding.why},
                    {"remedy", finding.remedy}});
  const Json json = {
      {"healthy", !any_fault(findings)},
      {"findings", list},
      {"ranks", nlohmann::json(launch.ranks)},
      {"sums", nlohmann::json(launch.sums)},
      {"estimate", launch.estimate ? Json(nlohmann::json(*launch.estimate)) : Json()}};
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

}  // namespace elbow::launch::doctor
