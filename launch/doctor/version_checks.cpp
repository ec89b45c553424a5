// Versions that must be alike on all ranks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

struct Rule {
  const char* key;   // in RankFacts::versions
  const char* name;  // as people say it
  bool fault;
  const char* why;
  const char* remedy;
};

constexpr const char* kSameFolder =
    "start the same program on all hosts, from a folder that they share, or copy the whole "
    "install again";
constexpr const char* kSameModule =
    "load the same modules on all hosts, and see what LD_LIBRARY_PATH and LD_PRELOAD bring in";

constexpr std::array kRules = {
    Rule{"elbow", "elbow", true, "ranks of other versions may not understand each other",
         kSameFolder},
    Rule{"program", "the program's file", true,
         "ranks of other builds may not understand each other, or compute other bits", kSameFolder},
    Rule{"libtorch", "LibTorch", true, "the ranks' numbers would differ", kSameFolder},
    Rule{"mpi", "MPI", true, "libraries of other versions hang or crash when they meet",
         kSameModule},
    Rule{"cuda", "the CUDA runtime", true, "kernels, and with them the ranks' numbers, may differ",
         kSameModule},
    Rule{"cudnn", "cuDNN", true, "kernels, and with them the ranks' numbers, may differ",
         kSameModule},
    Rule{"nccl", "NCCL", true, "NCCL refuses, or hangs, between other versions", kSameModule},
    Rule{"nvidia_driver", "the NVIDIA driver", false,
         "kernels compiled at the start may differ, and so may speed",
         "update the drivers alike, or choose hosts alike"},
    Rule{"glibc", "glibc", false,
         "its mathematical functions may differ in the last bit, which train.reproducible=exact "
         "would show",
         "choose hosts alike"},
};

using RanksByValue = std::vector<std::pair<std::string, std::vector<const RankFacts*>>>;

void add(RanksByValue& values, const std::string& value, const RankFacts& rank) {
  for (auto& [known, ranks] : values)
    if (known == value) return ranks.push_back(&rank);
  values.push_back({value, {&rank}});
}

std::string told(const RanksByValue& values) {
  std::vector<std::string> parts;
  for (const auto& [value, ranks] : values)
    parts.push_back(fmt::format("{} ({})", value, named(ranks)));
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace

void check_versions(const LaunchFacts& launch, Findings& findings) {
  for (const auto& rule : kRules) {
    RanksByValue values;
    for (const auto& rank : launch.ranks) {
      const auto found = rank.versions.find(rule.key);
      if (found != rank.versions.end() && !found->second.empty()) add(values, found->second, rank);
    }
    if (values.size() < 2) continue;
    findings.push_back({.fault = rule.fault,
                        .check = "versions",
                        .what = fmt::format("{} is not the same on all ranks", rule.name),
                        .where = told(values),
                        .why = rule.why,
                        .remedy = rule.remedy});
  }
  RanksByValue branches;
  for (const auto& rank : launch.ranks) add(branches, rank.cores.mkl_branch, rank);
  if (branches.size() < 2) return;
  findings.push_back({.fault = false,
                      .check = "versions",
                      .what = "the CPUs have different vector instructions",
                      .where = told(branches),
                      .why = "train.reproducible=exact takes what all have, and a run that was "
                             "begun with more cannot be resumed here",
                      .remedy = "choose hosts alike (Slurm: --constraint)"});
}

}  // namespace elbow::launch::doctor
