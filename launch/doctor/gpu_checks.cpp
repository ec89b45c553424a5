// Which GPUs the ranks see, and whether each has one of its own. GPUs are told apart by UUID.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "comm/device_choice.h"
#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

bool sees_one(const RankFacts& rank) { return !rank.gpus.visible.empty(); }

// A driver, but no GPU that elbow can use.
void unused_driver(const LaunchFacts& launch, Findings& findings) {
  std::vector<const RankFacts*> ranks;
  for (const auto& rank : launch.ranks) {
    const auto driver = rank.versions.find("nvidia_driver");
    if (driver != rank.versions.end() && !driver->second.empty()) ranks.push_back(&rank);
  }
  if (ranks.empty()) return;
  findings.push_back({.fault = false,
                      .check = "gpus",
                      .what = fmt::format("an NVIDIA driver is there, but no GPU is used: {}",
                                          ranks[0]->gpus.none_because),
                      .where = named(ranks),
                      .why = "training computes on the CPU",
                      .remedy = "ask the batch system for GPUs (--gpus-per-node), look at "
                                "CUDA_VISIBLE_DEVICES and nvidia-smi; or set train.device=cpu"});
}

void blind_ranks(const LaunchFacts& launch, Findings& findings) {
  std::vector<const RankFacts*> blind;
  for (const auto& rank : launch.ranks)
    if (!sees_one(rank)) blind.push_back(&rank);
  findings.push_back(
      {.fault = true,
       .check = "gpus",
       .what = fmt::format("some ranks see no GPU while others do{}{}",
                           blind[0]->gpus.none_because.empty() ? "" : ": ",
                           blind[0]->gpus.none_because),
       .where = named(blind),
       .why = "all ranks compute on the same kind of device, so all would fall back to the CPU",
       .remedy = "give every rank a GPU (Slurm: --gpus-per-task=1), look at CUDA_VISIBLE_DEVICES "
                 "and nvidia-smi on that host, or leave the host out"});
}

void clashes(const LaunchFacts& launch, const comm::Decision& decision, Findings& findings) {
  std::map<std::string, std::vector<const RankFacts*>> users;
  for (const auto& rank : launch.ranks) {
    const int device = decision.device.at(&rank - launch.ranks.data());
    users[rank.host + "/" + rank.gpus.visible.at(device).uuid].push_back(&rank);
  }
  for (const auto& [gpu, ranks] : users) {
    if (ranks.size() < 2) continue;
    findings.push_back(
        {.fault = true,
         .check = "gpus",
         .what = fmt::format("{} ranks compute on one GPU, {}", ranks.size(),
                             gpu.substr(gpu.find('/') + 1)),
         .where = named(ranks),
         .why = "they take turns on it, and because NCCL wants a GPU for each rank, all tensors "
                "move through the host",
         .remedy = "start as many ranks on the host as it has GPUs (-n, --ntasks-per-node), and do "
                   "not give two ranks the same CUDA_VISIBLE_DEVICES"});
  }
}

void idle_gpus(const LaunchFacts& launch, Findings& findings) {
  for (const auto& host : by_host(launch)) {
    std::set<std::string> uuids;
    for (const RankFacts* rank : host.ranks)
      for (const auto& gpu : rank->gpus.visible) uuids.insert(gpu.uuid);
    if (uuids.size() <= host.ranks.size()) continue;
    findings.push_back({.fault = false,
                        .check = "gpus",
                        .what = fmt::format("{} of the host's {} GPUs would idle",
                                            uuids.size() - host.ranks.size(), uuids.size()),
                        .where = named(host.ranks),
                        .why = "a rank computes on one GPU",
                        .remedy = fmt::format("start {} ranks on this host", uuids.size())});
  }
}

void unlike_gpus(const LaunchFacts& launch, const comm::Decision& decision, Findings& findings) {
  std::map<std::string, std::vector<const RankFacts*>> models;
  for (const auto& rank : launch.ranks) {
    const int device = decision.device.at(&rank - launch.ranks.data());
    models[rank.gpus.visible.at(device).name].push_back(&rank);
  }
  if (models.size() < 2) return;
  std::vector<std::string> parts;
  for (const auto& [model, ranks] : models)
    parts.push_back(fmt::format("{} ({})", model, named(ranks)));
  findings.push_back(
      {.fault = false,
       .check = "gpus",
       .what = fmt::format("the GPUs are of {} models", models.size()),
       .where = fmt::format("{}", fmt::join(parts, "; ")),
       .why = "each step takes as long as on the slowest, and "
              "train.reproducible=exact refuses to run on them",
       .remedy = "choose hosts alike (Slurm: --constraint, --gpus-per-node=TYPE:N)"});
}

void full_gpus(const LaunchFacts& launch, const comm::Decision& decision, Findings& findings) {
  for (const auto& rank : launch.ranks) {
    const auto& gpu = rank.gpus.visible.at(decision.device.at(&rank - launch.ranks.data()));
    if (gpu.memory_bytes == 0 || 2 * gpu.free_bytes >= gpu.memory_bytes) continue;
    findings.push_back(
        {.fault = false,
         .check = "gpus",
         .what = fmt::format("{} of {} are free on its GPU", bytes_text(gpu.free_bytes),
                             bytes_text(gpu.memory_bytes)),
         .where = named({&rank}),
         .why = "another process uses the rest, and the GPU's time",
         .remedy = "look who it is with nvidia-smi, and end it or choose another "
                   "GPU with CUDA_VISIBLE_DEVICES"});
  }
}

}  // namespace

void check_gpus(const LaunchFacts& launch, Findings& findings) {
  const auto seeing = std::ranges::count_if(launch.ranks, sees_one);
  if (seeing == 0) return unused_driver(launch, findings);
  if (seeing < std::ssize(launch.ranks)) return blind_ranks(launch, findings);
  std::vector<comm::RankDevices> seen;
  for (const auto& rank : launch.ranks) {
    seen.push_back({.host = rank.host});
    for (const auto& gpu : rank.gpus.visible) seen.back().gpu_uuids.push_back(gpu.uuid);
  }
  const auto decision = comm::choose(seen, comm::DeviceRequest::kAuto);
  clashes(launch, decision, findings);
  idle_gpus(launch, findings);
  unlike_gpus(launch, decision, findings);
  full_gpus(launch, decision, findings);
}

}  // namespace elbow::launch::doctor
