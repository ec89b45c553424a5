#include <fmt/format.h>
#include <unistd.h>

#include <system_error>

#include "comm/mailbox.h"
#include "launch/bench.h"
#include "launch/simulation/simulation.h"
#include "launch/sweep/sweep_config.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using Json = nlohmann::ordered_json;
using simulation::SimulationResult;
using simulation::SimulationSettings;
using sweep::Ledger;

constexpr int64_t kTrialsPerGroup = 10;
constexpr double kDeathPause = 0.2;  // seconds between two looks for the dead

// What a look into an empty box, and one for a dead rank, costs the coordinator on this launch, in
// CPU time.
struct LookCost {
  double box_s = 0, death_s = 0;
};

LookCost cost_of_looks(World& world) {
  constexpr int kLooks = 20'000;
  const auto mailbox = comm::make_mailbox(world.session());
  const int last = mailbox->size() - 1;
  const auto seconds_of = [](const auto& look) {
    const double start = simulation::cpu_seconds();
    for (int i = 0; i < kLooks; ++i) look();
    return (simulation::cpu_seconds() - start) / kLooks;
  };
  LookCost cost;
  if (mailbox->rank() == 0) {
    cost.box_s = seconds_of([&] { mailbox->receive(last, comm::Mailbox::Box::kCoordinator); });
    cost.death_s = seconds_of([&] { mailbox->lost(last); });
  }
  world.ranks().barrier();
  return cost;
}

// Ten trials of kl_vae.cfg a group, where nobody gives a sweep.
sweep::SweepConfig sweep_for(const BenchCommand& command, int64_t groups) {
  if (command.config)
    return sweep::parse_sweep(*command.config, command.words, current_environment());
  return sweep::parse_sweep_text(
      fmt::format("[train]\nepochs = 10\n[sweep]\nsearch = random\ntrials = {}\n"
                  "objective.kl_wt = loguniform(1e-4, 1e-1)\n",
                  groups * kTrialsPerGroup),
      "the built-in sweep", command.words);
}

struct Line {
  SimulationSettings settings;
  SimulationResult result;
  double core_share = 0;  // of the coordinator

  double letters_per_s() const { return static_cast<double>(result.letters) / result.makespan_s; }
  int64_t lost() const { return result.trials - result.complete - result.pruned - result.failed; }
};

Line simulate_one(const BenchCommand& command, int64_t groups, Ledger::Sync sync,
                  const LookCost& cost, const std::filesystem::path& file) {
  const auto sweep = sweep_for(command, groups);
  Line line{.settings = {.groups = groups,
                         .rows = std::max<int64_t>(1, sweep.settings.rows_per_pack),
                         .sync = sync,
                         .work_takes_time = true}};
  line.result = simulate(sweep, line.settings, file);
  const double boxes = static_cast<double>(line.result.turns) * static_cast<double>(groups);
  const double deaths = line.result.makespan_s / kDeathPause * static_cast<double>(groups);
  line.core_share = (line.result.coordinator_s + boxes * cost.box_s + deaths * cost.death_s) /
                    line.result.makespan_s;
  std::filesystem::remove(file);
  return line;
}

std::vector<Line> simulate_all(const BenchCommand& command, const LookCost& cost) {
  const auto folder = std::filesystem::current_path();
  const auto file = folder / fmt::format("bench_scaling_ledger_{}.jsonl", getpid());
  std::vector<Line> lines;
  try {
    for (const int64_t groups : {1, 3, 10, 30, 100, 300, 1000})
      lines.push_back(simulate_one(command, groups, Ledger::Sync::kNever, cost, file));
    lines.push_back(simulate_one(command, 1000, Ledger::Sync::kEachAppend, cost, file));
  } catch (const std::system_error& error) {
    throw trainer::SettingError(fmt::format(
        "the simulated sweep's ledger cannot be written into {}: {}; start from another folder",
        folder.string(), error.what()));
  }
  return lines;
}

Json json_of(const Line& line) {
  const auto& result = line.result;
  return {{"groups", line.settings.groups},
          {"ledger_synced", line.settings.sync == Ledger::Sync::kEachAppend},
          {"trials", result.trials},
          {"complete", result.complete},
          {"pruned", result.pruned},
          {"failed", result.failed},
          {"lost", line.lost()},
          {"completed_twice", result.completed_twice},
          {"trained_at_once", result.trained_at_once},
          {"utilisation", result.utilisation},
          {"queue_empty_s", result.queue_empty_s},
          {"makespan_s", result.makespan_s},
          {"lower_bound_s", result.lower_bound_s},
          {"letters_per_s", line.letters_per_s()},
          {"coordinator_core_share", line.core_share},
          {"start_s", result.start_s}};
}

std::string text_of(const Line& line) {
  const auto& result = line.result;
  return fmt::format(
      "{:>6} {:>7} {:>6} {:>6} {:>11.1f} % {:>10.1f} {:>10.1f} {:>6.3f} {:>10.0f} {:>12.2f} %{}\n",
      line.settings.groups, result.trials, line.lost(), result.completed_twice,
      100 * result.utilisation, result.makespan_s, result.lower_bound_s,
      result.makespan_s / result.lower_bound_s, line.letters_per_s(), 100 * line.core_share,
      line.settings.sync == Ledger::Sync::kEachAppend ? "  ledger synced" : "");
}

std::string text_of(const std::vector<Line>& lines, const LookCost& cost, int ranks) {
  const auto& settings = lines.front().settings;
  std::string text = fmt::format(
      "a simulated cluster: {:.0f} % of the groups die, {:.0f} % are {} times slower; an epoch of "
      "a "
      "row takes {} s\n{:>6} {:>7} {:>6} {:>6} {:>13} {:>10} {:>10} {:>6} {:>10} {:>14}\n",
      100 * settings.deaths, 100 * settings.stragglers, settings.straggler_slowness,
      settings.epoch_s, "groups", "trials", "lost", "twice", "utilisation", "makespan s", "bound s",
      "ratio", "letters/s", "of one core");
  for (const auto& line : lines) text += text_of(line);
  return text + fmt::format(
                    "utilisation until the queue is empty; of one core: what the coordinator "
                    "takes, with looks of {:.0f} ns into {}\n",
                    1e9 * cost.box_s,
                    ranks > 1 ? "MPI's boxes"
                              : "a box of its own (for MPI's: launch/elbow -n 2 bench scaling)");
}

}  // namespace

ExitCode bench_scaling(const BenchCommand& command, World& world) {
  const auto cost = cost_of_looks(world);
  std::vector<Line> lines;
  world.from_rank_0([&] {
    lines = simulate_all(command, cost);
    return std::string();
  });
  if (world.ranks().rank() != 0) return ExitCode::kDone;
  Json curve = Json::array();
  for (const auto& line : lines) curve.push_back(json_of(line));
  Json result = {{"bench", "scaling"},
                 {"ranks", world.ranks().size()},
                 {"look_ns", 1e9 * cost.box_s},
                 {"look_for_death_ns", 1e9 * cost.death_s}};
  result.update(json_of(lines.back()));
  result["curve"] = curve;
  show_bench(command, world, result, text_of(lines, cost, world.ranks().size()));
  return ExitCode::kDone;
}

}  // namespace elbow::launch
