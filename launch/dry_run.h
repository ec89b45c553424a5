// What --dry-run prints: what a run, or a sweep, would take and leave behind. Writes no file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launch/doctor/facts.h"
#include "launch/sweep/shard.h"
#include "launch/sweep/sweep_config.h"
#include "launch/training.h"
#include "launch/world.h"

namespace elbow::launch {

// Lines on memory by rank: what each has used by now, and what its GPU holds. Every rank calls it;
// for rank 0.
std::string memory_lines(World& world, const Devices& devices);

// The files of a run, with the sizes that are known. Pure.
std::string run_files_text(const trainer::Settings& settings, const doctor::Estimate& estimate,
                           const std::string& folder, int ranks);

// Trials of a shard that may be rows of one pack.
struct PlannedShape {
  int64_t first_trial = 0;
  int64_t trials = 0;
  int64_t packs = 0;
  int64_t epochs = 0;
  double pack_s = 0;  // that one pack takes, from its first step to its last evaluation
  bool measured = false;
};

struct SweepPlan {
  int64_t groups = 1;
  int64_t ranks_per_group = 1;
  int64_t rows_per_pack = 1;
  bool rows_measured = false;  // sweep.rows_per_pack = auto
  std::vector<PlannedShape> shapes;
  int64_t checkpoint_bytes = 0;  // of one trial of the first shape

  int64_t trials() const;
};

// By shape and pack, without times. Pure.
SweepPlan plan_sweep(const sweep::SweepConfig& sweep, const sweep::Shard& shard, int64_t groups,
                     int64_t ranks_per_group, int64_t rows_per_pack);

// Seconds of the whole plan: packs are handed out in order, each to the group that is free first.
// Pure.
double seconds_of(const SweepPlan& plan);

std::string plan_text(const sweep::SweepConfig& sweep, const SweepPlan& plan);
std::string sweep_files_text(const SweepPlan& plan, const std::string& folder);

// Every rank calls it, with its group. Fills in the times from a few steps of each shape, all
// groups at once. Throws SharedError and comm::PeerLost.
void measure_plan(SweepPlan& plan, const sweep::SweepConfig& sweep, const trainer::Dataset& data,
                  World& world, comm::Communicator& group, const Devices& devices,
                  trainer::ThreadTeam& team);

}  // namespace elbow::launch
