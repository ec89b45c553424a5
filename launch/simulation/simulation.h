// A sweep in virtual time: the real coordinator at its desk, with the real search and a real ledger
// file, and groups that only pretend to train. They die, are slow, and break trials, by chance that
// follows from a seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "launch/sweep/ledger.h"
#include "launch/sweep/sweep_config.h"

namespace elbow::launch::simulation {

struct SimulationSettings {
  int64_t groups = 1000;  // of one rank each
  int64_t rows = 1;       // of a pack; rows train one after another
  uint64_t seed = 1;

  double epoch_s = 1.2;  // of one row on an ordinary group: kl_vae.cfg on one core
  double jitter = 0.1;   // an epoch takes 1 - jitter to 1 + jitter times as long
  double stragglers = 0.05, straggler_slowness = 4;  // share of the groups; factor of their epochs
  double deaths = 0.05;        // share of the groups that die, each at some moment of the sweep
  double breaking = 0.001;     // share of the epochs behind which a trial breaks, to be retried
  double diverging = 0.005;    // share of the trials that become NaN
  int64_t takeovers = 0;       // how often the rank that coordinates dies; the next one takes over
  double letter_s = 1e-3;      // on its way
  double answer_s = 1e-2;      // until a leader that waits looks for its orders
  double death_known_s = 0.5;  // until the coordinator can know
  sweep::Ledger::Sync sync = sweep::Ledger::Sync::kNever;
  // Whether the coordinator's work takes as long in virtual time as it does here and now: its CPU
  // time, or all of its time where the ledger is synced. Otherwise it takes none, and the same seed
  // gives the same run.
  bool work_takes_time = false;
};

struct SimulationResult {
  int64_t trials = 0, complete = 0, pruned = 0, failed = 0;  // by the ledger
  int64_t completed_twice = 0;  // trials whose last epoch was trained more than once
  int64_t trained_at_once = 0;  // trials that two groups had at one time
  bool stuck = false;           // nothing more happened though groups were left
  std::string failure{};        // why the coordinator gave up; "": it did not

  double makespan_s = 0;
  double lower_bound_s = 0;  // of the epochs trained: all groups busy until all is done
  double queue_empty_s = 0;  // when the last trial was begun
  double utilisation = 0;    // share of the groups' time until then that went into epochs that
                             // count; a dead group has no time
  int64_t letters = 0;       // to and from the coordinator
  double coordinator_s = 0;  // CPU time of its turns and its view
  int64_t turns = 0;         // idle ones included, which are not in coordinator_s
  double start_s = 0;        // real time until the coordinator was there
};

double cpu_seconds();  // of the calling thread

// ledger: a file that is not there yet. Throws std::system_error where it cannot be written.
SimulationResult simulate(const sweep::SweepConfig& sweep, const SimulationSettings& settings,
                          const std::filesystem::path& ledger);

}  // namespace elbow::launch::simulation
