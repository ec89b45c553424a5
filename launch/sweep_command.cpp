#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "comm/cuda_library.h"
#include "comm/error.h"
#include "comm/mailbox.h"
#include "comm/text.h"
#include "launch/cluster/coordinator_thread.h"
#include "launch/cluster/group.h"
#include "launch/cluster/pack_size.h"
#include "launch/cluster/succession.h"
#include "launch/commands.h"
#include "launch/dry_run.h"
#include "launch/loss_outlook.h"
#include "launch/resume.h"
#include "launch/sweep/ledger.h"
#include "launch/sweep/warm_starts.h"
#include "launch/sweep_office.h"
#include "launch/terminal.h"
#include "launch/training.h"
#include "trainer/checkpoint.h"

namespace elbow::launch {
namespace {

using cluster::SweepDirectory;
using sweep::SweepConfig;
using trainer::SettingError;

// --- What there is to do -------------------------------------------------------------------------

void check_warm_start(const SweepConfig& sweep, const sweep::Shard& shard) {
  if (!sweep.settings.warm_start) return;
  if (!shard.is_whole())
    throw SettingError(
        fmt::format("sweep.warm_start = true needs all trials in one ledger, and --shard {} has a "
                    "part of them: leave one of the two out",
                    shard.text()));
  if (!sweep::WarmStarts(sweep).any())
    throw SettingError(
        "sweep.warm_start = true has no effect, because no two trials differ in objective.kl_wt "
        "(or objective.beta) alone: give that key an axis of two values or more, or leave it at "
        "false");
}

// Of one trial: that its data are there, where an axis chooses them, and that its network can be.
// Loading is rank 0's part.
void check_trial(const SweepConfig& sweep, int64_t trial, const trainer::Dataset& data,
                 bool loads) {
  const auto plan = sweep.space.trial(trial);
  const auto settings = config_of(sweep, plan).settings;
  const auto sentence = [&](const std::exception& error) {
    return fmt::format("trial {} ({}) cannot be: {}", trial, described(sweep, plan), error.what());
  };
  try {
    if (!sweep.has_data_axis()) {
      trainer::model_of(settings, data);
    } else if (loads) {
      trainer::model_of(settings, trainer::load_dataset(settings.data));
    }
  } catch (const SettingError& error) {
    throw SettingError(sentence(error));
  } catch (const trainer::DataError& error) {
    throw trainer::DataError(sentence(error));
  }
}

void check_trials(const SweepConfig& sweep, const trainer::Dataset& data, bool loads) {
  const auto refuse_rollback = [](const trainer::Settings& settings) {
    if (settings.train.on_nonfinite == "rollback")
      throw SettingError(
          "train.on_nonfinite = rollback does not work in a sweep, where a trial that is not "
          "finite fails alone: leave it at stop");
  };
  refuse_rollback(sweep.base.settings);
  const sweep::TrialShapes shapes(sweep);
  std::vector<bool> seen(static_cast<size_t>(shapes.count()));
  for (int64_t trial = 0; trial < sweep.space.configurations(); ++trial) {
    if (seen.at(shapes.of(trial))) continue;
    seen[shapes.of(trial)] = true;
    refuse_rollback(config_of(sweep, sweep.space.trial(trial)).settings);
    check_trial(sweep, trial, data, loads);
  }
}

int64_t divided_up(int64_t number, int64_t parts) { return (number + parts - 1) / parts; }

// At most.
int64_t trials_of(const SweepConfig& sweep, const sweep::Shard& shard) {
  return divided_up(sweep.space.trials(), shard.count);
}

// The fewest leaves of any trial in exact mode, which are the most ranks that a group may have.
int64_t most_ranks_per_group(const SweepConfig& sweep) {
  int64_t most = INT64_MAX;
  for (int64_t trial = 0; trial < sweep.space.configurations(); ++trial) {
    const auto leaves =
        trainer::leaves_of(config_of(sweep, sweep.space.trial(trial)).settings.train);
    if (leaves > 0) most = std::min(most, leaves);
  }
  return most;
}

int64_t ranks_per_group(const SweepConfig& sweep, const sweep::Shard& shard, int64_t ranks) {
  const int64_t most = most_ranks_per_group(sweep);
  const int64_t given = sweep.settings.ranks_per_group;
  if (given > most)
    throw SettingError(
        fmt::format("sweep.ranks_per_group = {} is more than the {} leaves of train.reproducible = "
                    "exact: choose at most {}, or set train.leaves = {}",
                    given, most, most, given));
  if (given > 0) return std::min(given, ranks);
  return std::clamp<int64_t>(ranks / std::max<int64_t>(1, trials_of(sweep, shard)), 1, most);
}

// The MKL branch that the trials of an earlier launch have; "" where there are none.
std::string mkl_branch_in(const std::filesystem::path& sweep) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(sweep / "trials", ignored)) {
    try {
      const auto newest = trainer::load_newest(trainer::RunDirectory(entry.path()));
      if (!newest.checkpoint) continue;
      return mkl_branch_of(newest.checkpoint->checkpoint.identity);
    } catch (const trainer::DamagedCheckpoint&) {
    }
  }
  return "";
}

// --- The ranks -----------------------------------------------------------------------------------

// The ranks of the launch as groups.
class Cluster {
 public:
  Cluster(World& world, int64_t ranks_per_group) : world_(world), size_(ranks_per_group) {}

  int64_t group_of(int rank) const { return rank / size_; }
  int64_t groups() const { return group_of(world_.session().size() - 1) + 1; }
  std::vector<std::vector<int>> ranks_by_group() const {
    std::vector<std::vector<int>> ranks(groups());
    for (int rank = 0; rank < world_.session().size(); ++rank)
      ranks[group_of(rank)].push_back(rank);
    return ranks;
  }
  std::vector<std::string> hosts() const {
    std::vector<std::string> hosts;
    for (const auto& ranks : ranks_by_group()) hosts.push_back(world_.session().host(ranks[0]));
    return hosts;
  }

  std::string loss_outlook(const Devices& devices) const {
    Outlook launch{.heals = world_.session().fault_tolerant(),
                   .heals_hosts = world_.session().survives_lost_hosts(),
                   .sweep = true};
    for (int rank = 0; rank < world_.session().size(); ++rank)
      launch.ranks.push_back({world_.session().host(rank), devices.names.at(rank)});
    return launch::loss_outlook(launch);
  }

  // Every rank calls it; gives the group of the caller. GPUs of one group use NCCL where the whole
  // launch could.
  std::shared_ptr<comm::Communicator> split(const Devices& devices) {
    const int rank = world_.session().rank();
    auto group = world_.ranks().split(static_cast<int>(group_of(rank)), rank);
    if (!devices.nccl || group->size() == 1) return group;
    return comm::cuda_library().functions->make_nccl(std::move(group), devices.own.index());
  }

 private:
  World& world_;
  int64_t size_;
};

// Where a sweep's ledger is, it must be of these trials.
void look_at_ledger(const SweepCommand& command, const SweepConfig& sweep,
                    const sweep::Shard& shard) {
  const auto found = found_sweep(command, shard);
  if (!found) return trainer::RunDirectory::require_creatable(command.out.value_or("runs"));
  const SweepDirectory directory(*found, shard);
  const auto contents = sweep::read_ledger(directory.ledger());
  require_same_sweep(contents, sweep, directory);
  const auto finished = std::ranges::count_if(
      contents.trials, [](const auto& trial) { return is_finished(trial.state); });
  fmt::print(report_stream(), "ledger     {} trials are finished, and count in the plan below\n",
             finished);
}

// In place of training, when all that could be refused has been checked.
ExitCode tell_plan(World& world, const SweepCommand& command, const SweepConfig& sweep,
                   const sweep::Shard& shard, const Devices& devices, const trainer::Dataset& data,
                   trainer::ThreadTeam& team, Cluster& cluster, int64_t per_group,
                   int64_t trials_per_group) {
  auto group = cluster.split(devices);
  int64_t rows = sweep.settings.rows_per_pack;
  const bool automatic = rows == 0;
  world.together([&] {
    if (automatic)
      rows = cluster::rows_per_pack(config_of(sweep, sweep.space.trial(0)).settings, data, *group,
                                    team, devices.own, trials_per_group);
  });
  auto plan = plan_sweep(sweep, shard, cluster.groups(), per_group, rows);
  plan.rows_measured = automatic;
  measure_plan(plan, sweep, data, world, *group, devices, team);
  const auto memory = memory_lines(world, devices);
  world.from_rank_0([&] {
    look_at_ledger(command, sweep, shard);
    const auto folder = command.out ? command.out->string() : "runs/NAME-DATE-TIME";
    std::fputs((plan_text(sweep, plan) + memory + sweep_files_text(plan, folder) +
                "dry run    nothing was trained or written\n")
                   .c_str(),
               report_stream());
    std::fflush(report_stream());
    return std::string();
  });
  return ExitCode::kDone;
}

// Of the rank in charge: nobody else could hand out trials or write down what comes of them.
[[noreturn]] void give_up(World& world, const std::exception& error) {
  fmt::print(stderr, "elbow: rank {} on {} cannot coordinate the sweep: {}\n",
             world.session().rank(), world.session().host(world.session().rank()), error.what());
  world.session().abort(static_cast<int>(ExitCode::kUnfinished));
}

ExitCode sweep_on(World& world, const SweepCommand& command,
                  const std::vector<std::string>& arguments) {
  const auto start = std::chrono::system_clock::now();
  trainer::Interruption interruption;
  const bool first = world.ranks().rank() == 0;
  auto& log = world.log();
  if (command.verbose) log.show();
  sweep::Shard shard;
  world.together([&] { shard = sweep::shard_from_text(command.shard); });

  std::optional<SweepConfig> parsed;
  std::string mkl_branch;
  const auto text = world.from_rank_0([&] {
    parsed.emplace(sweep::parse_sweep(command.config, command.words, current_environment()));
    if (const auto found = found_sweep(command, shard)) mkl_branch = mkl_branch_in(*found);
    return effective_sweep(*parsed);
  });
  if (!first) parsed.emplace(sweep::parse_sweep_text(text, "the configuration of rank 0"));
  const auto& sweep = *parsed;
  const auto& settings = sweep.base.settings;
  mkl_branch = comm::broadcast_text(world.ranks(), mkl_branch, /*root=*/0);

  trainer::Dataset data;
  world.together([&] { data = trainer::load_dataset(settings.data); });
  int64_t per_group = 1;
  world.together([&] {
    check_warm_start(sweep, shard);
    check_trials(sweep, data, /*loads=*/first);
    per_group = ranks_per_group(sweep, shard, world.ranks().size());
  });
  const auto devices = agree_on_devices(settings.train, world, mkl_branch);
  c10::OptionalDeviceGuard guard;
  guard.reset_device(devices.own);
  trainer::ThreadTeam team(threads_of(settings, world.session(), devices));
  const auto deadline =
      trainer::deadline_of(start, settings.train.max_time, settings.train.time_margin,
                           std::getenv("SLURM_JOB_END_TIME"));
  interruption.request_at(deadline.time, deadline.reason);
  Cluster cluster(world, per_group);
  const int64_t trials_per_group = divided_up(trials_of(sweep, shard), cluster.groups());
  log.tell(fmt::format("is ready to train in group {} on {} with {} threads: {}",
                       cluster.group_of(world.session().rank()), devices.own.str(), team.size(),
                       devices.why));
  if (command.dry_run)
    return tell_plan(world, command, sweep, shard, devices, data, team, cluster, per_group,
                     trials_per_group);

  SweepOffice office(sweep, shard);
  const std::filesystem::path folder = world.from_rank_0([&] {
    office.open(command);
    fmt::print(report_stream(), "sweep      {} trials of {} in {} groups of {} rank{}, into {}\n",
               sweep.space.trials(), sweep.name(), cluster.groups(), per_group,
               per_group == 1 ? "" : "s", office.folder().string());
    if (const auto outlook = cluster.loss_outlook(devices); !outlook.empty())
      fmt::print(report_stream(), "if lost    {}\n", outlook);
    std::fflush(report_stream());
    return std::filesystem::absolute(office.folder()).string();
  });
  if (world.session().size() > 1)
    log.keep(trainer::RunDirectory(folder).log(world.session().rank()));
  watch_rank(world, settings.train, devices, folder);
  const auto mailbox = comm::make_mailbox(world.session());
  auto group = cluster.split(devices);

  const SweepDirectory directory(folder, shard);
  cluster::SweepView view(command.progress);
  const int rank = world.session().rank();
  const auto take_office = [&]() -> cluster::Coordinator& {
    if (rank == 0) return office.begin(cluster.hosts(), cluster::Beginning::kLaunch);
    office.take_over(folder);
    view.note(
        fmt::format("rank {} on {} coordinates the sweep from now on: those before it are lost",
                    rank, world.session().host(rank)));
    return office.begin(cluster.hosts(), cluster::Beginning::kTakeover);
  };
  cluster::CoordinatorThread thread(
      {.mailbox = *mailbox,
       .ranks_of_group = cluster.ranks_by_group(),
       .sweep = sweep,
       .view = view,
       .take_office = take_office,
       .end_is_written = [&] { return std::filesystem::exists(directory.result()); },
       .write_end =
           [&](const std::string& failure) { return static_cast<int>(office.write_end(failure)); },
       .give_up = [&](const std::exception& error) { give_up(world, error); }});
  const cluster::GroupParts parts{.sweep = sweep,
                                  .directory = directory,
                                  .arguments = arguments,
                                  .mailbox = *mailbox,
                                  .devices = devices,
                                  .device_name = devices.names.at(rank),
                                  .team = team,
                                  .interruption = interruption,
                                  .group = cluster.group_of(rank),
                                  .trials_per_group = trials_per_group,
                                  .tell = [&](const std::string& sentence) { view.note(sentence); },
                                  .log = [&](const std::string& sentence) { log.tell(sentence); }};
  const int code = run_group(parts, std::move(group), std::move(data));
  cluster::say_farewell(*mailbox, world.ranks(), parts.group);
  world.ranks().agree(true);  // mpirun ends the others when the first one leaves with 75
  const int last_code = thread.end().value_or(code);
  if (world.ranks().lost_rank() >= 0) world.session().note_lost_peer();
  return static_cast<ExitCode>(last_code);
}

}  // namespace

// A rank that is lost outside its group, as all make ready, ends the launch; nothing is lost by it.
ExitCode run_sweep(const SweepCommand& command, const std::vector<std::string>& arguments,
                   World& world) {
  try {
    return sweep_on(world, command, arguments);
  } catch (const comm::PeerLost& loss) {
    throw SharedError(ExitCode::kUnfinished, loss.what());
  }
}

}  // namespace elbow::launch
