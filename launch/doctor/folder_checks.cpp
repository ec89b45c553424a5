// Data and run folder: the same for all ranks, and usable.
#include <fmt/format.h>

#include <algorithm>

#include "launch/doctor/checks.h"
#include "launch/doctor/places.h"

namespace elbow::launch::doctor {
namespace {

constexpr double kSlowToSee_s = 1;
constexpr int64_t kCheckpointsWanted = 4;  // those that stay, and the one that is written
constexpr int64_t kLeastFree = int64_t{64} << 20;

std::string hash_of(const RankFacts& rank, size_t file) {
  return file < rank.data.files.size() ? rank.data.files[file].hash : "none";
}

void unusable_data(const LaunchFacts& launch, Findings& findings) {
  std::vector<const RankFacts*> failed;
  for (const auto& rank : launch.ranks)
    if (!rank.data.error.empty()) failed.push_back(&rank);
  if (failed.empty()) return;
  findings.push_back(
      {.fault = true,
       .check = "data",
       .what = failed[0]->data.error,
       .where = named(failed),
       .why = failed.size() == launch.ranks.size()
                  ? "no rank can train"
                  : "every rank reads the data itself, and one that cannot ends the job",
       .remedy = "put the data where every host sees it, at the same path, and see who may read "
                 "it; or set data.dir to such a place"});
}

void unlike_data(const LaunchFacts& launch, Findings& findings) {
  const auto& first = launch.ranks[0];
  for (size_t file = 0; file < first.data.files.size(); ++file) {
    std::vector<const RankFacts*> others;
    for (const auto& rank : launch.ranks)
      if (rank.data.error.empty() && hash_of(rank, file) != hash_of(first, file))
        others.push_back(&rank);
    if (others.empty()) continue;
    findings.push_back(
        {.fault = true,
         .check = "data",
         .what = fmt::format("{} is another file there: its hash is {}, and {} on rank 0",
                             first.data.files[file].name, hash_of(*others[0], file),
                             hash_of(first, file)),
         .where = named(others),
         .why = "the ranks would train on different examples without noticing",
         .remedy = "copy the same file to all hosts, or read it from a folder that they share"});
  }
}

struct FolderFault {
  const char* what;
  const char* why;
  const char* remedy;
};

// One finding for all ranks with the same sentence of one kind.
void folder_fault(const LaunchFacts& launch, std::string FolderFacts::*sentence,
                  const FolderFault& fault, Findings& findings) {
  std::vector<const RankFacts*> ranks;
  for (const auto& rank : launch.ranks)
    if (!(rank.folder.*sentence).empty()) ranks.push_back(&rank);
  if (ranks.empty()) return;
  findings.push_back({.fault = true,
                      .check = "folder",
                      .what = fmt::format("{} {}: {}", fault.what, launch.ranks[0].folder.path,
                                          ranks[0]->folder.*sentence),
                      .where = named(ranks),
                      .why = fault.why,
                      .remedy = fault.remedy});
}

void unshared(const LaunchFacts& launch, Findings& findings) {
  std::vector<const RankFacts*> ranks;
  for (const auto& rank : launch.ranks)
    if (!rank.folder.shared && rank.folder.write_error.empty()) ranks.push_back(&rank);
  if (ranks.empty()) return;
  findings.push_back(
      {.fault = true,
       .check = "folder",
       .what = fmt::format("{} is not the same folder there as on rank 0: files of one are not "
                           "seen by the other",
                           launch.ranks[0].folder.path),
       .where = named(ranks),
       .why = "another rank writes the run when rank 0 is lost, groups of a sweep write their "
              "trials, and a resumed job may start on any host: results would be scattered",
       .remedy = "choose a folder on a file system that all hosts share, with --out, and the same "
                 "path on each"});
}

void slow_to_see(const LaunchFacts& launch, Findings& findings) {
  const auto slowest = std::ranges::max_element(
      launch.ranks, {}, [](const RankFacts& rank) { return rank.folder.seen_after_s; });
  if (slowest->folder.seen_after_s < kSlowToSee_s) return;
  findings.push_back({.fault = false,
                      .check = "folder",
                      .what = fmt::format("what rank 0 wrote was seen after {:.1f} s",
                                          slowest->folder.seen_after_s),
                      .where = named({&*slowest}),
                      .why = "a rank that takes over may read an older state",
                      .remedy = "on NFS lower the attribute cache (mount option actimeo=1), or "
                                "choose another file system with --out"});
}

void full_disk(const LaunchFacts& launch, Findings& findings) {
  const auto& folder = launch.ranks[0].folder;
  if (!folder.write_error.empty()) return;
  const int64_t needed =
      std::max(kLeastFree, launch.estimate ? kCheckpointsWanted * launch.estimate->checkpoint_bytes
                                           : int64_t{0});
  if (folder.free_bytes >= needed) return;
  findings.push_back({.fault = true,
                      .check = "folder",
                      .what = fmt::format("{} has {} free, and {} are wanted", folder.path,
                                          bytes_text(folder.free_bytes), bytes_text(needed)),
                      .where = named({&launch.ranks[0]}),
                      .why = "checkpoints that do not fit are not written, and a run without its "
                             "last one has failed",
                      .remedy = "make room, look at your quota, or choose another folder with "
                                "--out"});
}

}  // namespace

void check_data(const LaunchFacts& launch, Findings& findings) {
  unusable_data(launch, findings);
  unlike_data(launch, findings);
}

void check_folder(const LaunchFacts& launch, Findings& findings) {
  if (launch.ranks[0].folder.path.empty()) return;
  folder_fault(launch, &FolderFacts::write_error,
               {.what = "nothing can be written into",
                .why = "checkpoints, metrics and the folders of trials go there, written by "
                       "whichever rank leads",
                .remedy = "choose with --out a folder that you may write on every host, or have it "
                          "mounted there for writing"},
               findings);
  unshared(launch, findings);
  folder_fault(launch, &FolderFacts::rename_error,
               {.what = "renaming does not work as it should in",
                .why = "checkpoints become visible by a rename, whole or not at all",
                .remedy = "choose a file system with POSIX semantics with --out"},
               findings);
  folder_fault(launch, &FolderFacts::lock_error,
               {.what = "locks do not work in",
                .why = "a lock keeps two launches from writing one run at the same time",
                .remedy = "mount it with locks (NFS: without nolock; Lustre: with flock, not "
                          "localflock), or choose another folder with --out"},
               findings);
  slow_to_see(launch, findings);
  full_disk(launch, findings);
}

}  // namespace elbow::launch::doctor
