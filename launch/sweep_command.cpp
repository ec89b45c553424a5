#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "comm/cuda_library.h"
#include "comm/error.h"
#include "comm/mailbox.h"
#include "comm/text.h"
#include "launch/cluster/coordinator_thread.h"
#include "launch/cluster/group.h"
#include "launch/cluster/pack_size.h"
#include "launch/commands.h"
#include "launch/dry_run.h"
#include "launch/loss_outlook.h"
#include "launch/resume.h"
#include "launch/run_folder.h"
#include "launch/sweep/ledger_reader.h"
#include "launch/sweep/study_head.h"
#include "launch/sweep/sweep_results.h"
#include "launch/terminal.h"
#include "launch/training.h"
#include "trainer/checkpoint.h"
#include "trainer/file_bytes.h"
#include "trainer/run_lock.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

using cluster::SweepDirectory;
using sweep::SweepConfig;
using trainer::SettingError;

constexpr std::chrono::seconds kLockPatience{10};
constexpr int64_t kSummaryRows = 10;

// Rank 0's part of a sweep.
struct Place {
  std::optional<SweepDirectory> directory;
  std::optional<trainer::RunLock> lock;
  std::optional<sweep::Ledger> ledger;
};

// --- What there is to do -------------------------------------------------------------------------

void check_trials(const SweepConfig& sweep, const trainer::Dataset& data) {
  const auto refuse_rollback = [](const trainer::Settings& settings) {
    if (settings.train.on_nonfinite == "rollback")
      throw SettingError(
          "train.on_nonfinite = rollback does not work in a sweep, where a trial that is not "
          "finite "
          "fails alone: leave it at stop");
  };
  refuse_rollback(sweep.base.settings);
  if (sweep.settings.warm_start)
    throw SettingError("sweep.warm_start = true is not there yet: leave it at false");
  const sweep::TrialShapes shapes(sweep);
  std::vector<bool> seen(static_cast<size_t>(shapes.count()));
  for (int64_t trial = 0; trial < sweep.space.configurations(); ++trial) {
    if (seen.at(shapes.of(trial))) continue;
    seen[shapes.of(trial)] = true;
    const auto plan = sweep.space.trial(trial);
    const auto settings = config_of(sweep, plan).settings;
    refuse_rollback(settings);
    try {
      trainer::model_of(settings, data);
    } catch (const SettingError& error) {
      throw SettingError(
          fmt::format("trial {} ({}) cannot be: {}", trial, described(sweep, plan), error.what()));
    }
  }
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
                    "exact: choose "
                    "at most {}, or set train.leaves = {}",
                    given, most, most, given));
  if (given > 0) return std::min(given, ranks);
  const int64_t trials = (sweep.space.trials() + shard.count - 1) / shard.count;
  return std::clamp<int64_t>(ranks / std::max<int64_t>(1, trials), 1, most);
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

// --- The folder ----------------------------------------------------------------------------------

// Where the ledger is, or nothing where a new one is to be made.
std::optional<std::filesystem::path> found_sweep(const SweepCommand& command,
                                                 const sweep::Shard& shard) {
  if (!command.out) return std::nullopt;
  const SweepDirectory directory(*command.out, shard);
  if (std::filesystem::exists(directory.ledger())) {
    if (command.resume == Resume::kNever)
      throw SettingError(
          fmt::format("{} holds a sweep already and --resume is never: choose another folder with "
                      "--out, or go on with this one with --resume auto",
                      command.out->string()));
    return directory.path();
  }
  if (command.resume == Resume::kMust)
    throw SettingError(
        fmt::format("{} holds no sweep to go on with: give the folder of one, or begin it with "
                    "elbow sweep --out",
                    command.out->string()));
  return std::nullopt;
}

void require_same_sweep(const sweep::LedgerContents& ledger, const SweepConfig& sweep,
                        const SweepDirectory& directory) {
  if (ledger.head.fingerprint == sweep_fingerprint(sweep)) return;
  throw SettingError(fmt::format(
      "{} was begun with other trials than these settings describe: leave its axes and settings as "
      "they are in {}, or choose another folder with --out",
      directory.ledger().string(), directory.config().string()));
}

void take_place(Place& place, const SweepCommand& command, const SweepConfig& sweep,
                const sweep::Shard& shard) {
  const auto found = found_sweep(command, shard);
  const auto folder = found ? *found : create_run_folder(command.out, sweep.name()).path();
  place.directory.emplace(folder, shard);
  const auto& directory = *place.directory;
  place.lock.emplace(directory.lock(), kLockPatience);
  if (std::filesystem::exists(directory.ledger())) {
    place.ledger.emplace(sweep::Ledger::open(directory.ledger()));
    require_same_sweep(place.ledger->contents(), sweep, directory);
  } else {
    trainer::replace_text_file(directory.config(), effective_sweep(sweep));
    std::filesystem::create_directories(folder / "trials");
    place.ledger.emplace(sweep::Ledger::create(directory.ledger(), study_head(sweep, shard)));
  }
  std::filesystem::remove(directory.result());  // of an earlier launch
  tell_launcher(directory.result());
}

// --- The end -------------------------------------------------------------------------------------

std::string status_word(ExitCode code) {
  if (code == ExitCode::kDone) return "complete";
  return code == ExitCode::kUnfinished ? "interrupted" : "failed";
}

void write_end(const Place& place, const cluster::SweepStatus& status, ExitCode code,
               const std::string& why) {
  nlohmann::ordered_json json = {
      {"status", status_word(code)},
      {"exit_code", static_cast<int>(code)},
      {"error", why.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(why)},
      {"trials", status.trials},
      {"complete", status.complete},
      {"pruned", status.pruned},
      {"failed", status.failed},
      {"best_trial", nullptr}};
  if (status.best) json["best_trial"] = *status.best;
  trainer::replace_text_file(place.directory->result(), json.dump(2) + "\n");
}

// Rank 0, when all groups have gone. Returns the sweep's exit code.
ExitCode finish(Place& place, const cluster::Coordinator& coordinator, const std::string& failure) {
  const auto status = coordinator.status();
  const auto code =
      failure.empty() ? static_cast<ExitCode>(coordinator.exit_code()) : ExitCode::kUnfinished;
  const auto contents = place.ledger->contents();
  const auto results = sweep::merged(std::span(&contents, 1));
  trainer::replace_text_file(place.directory->results(), results_csv(results));
  const auto why = code == ExitCode::kDone ? "" : coordinator.stopped();
  write_end(place, status, code, why);
  std::string text = summary_text(results, kSummaryRows);
  if (code == ExitCode::kUnfinished)
    text += fmt::format("not finished ({}): go on with launch/elbow resume {}\n", why,
                        place.directory->path().string());
  text += fmt::format("sweep      {}\n", place.directory->path().string());
  std::fputs(text.c_str(), report_stream());
  std::fflush(report_stream());
  return code;
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
  const auto bytes = trainer::read_file(directory.ledger());
  const auto contents =
      sweep::ledger_from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                              directory.ledger().string())
          .contents;
  require_same_sweep(contents, sweep, directory);
  const auto finished = std::ranges::count_if(
      contents.trials, [](const auto& trial) { return is_finished(trial.state); });
  fmt::print(report_stream(), "ledger     {} trials are finished, and count in the plan below\n",
             finished);
}

// In place of training, when all that could be refused has been checked.
ExitCode tell_plan(World& world, const SweepCommand& command, const SweepConfig& sweep,
                   const sweep::Shard& shard, const Devices& devices, const trainer::Dataset& data,
                   trainer::ThreadTeam& team, Cluster& cluster, int64_t per_group) {
  auto group = cluster.split(devices);
  auto plan = plan_sweep(sweep, shard, cluster.groups(), per_group, /*rows_per_pack=*/1);
  int64_t trials = 0;
  for (const auto& shape : plan.shapes) trials += shape.trials;
  int64_t rows = sweep.settings.rows_per_pack;
  const bool automatic = rows == 0;
  world.together([&] {
    if (automatic)
      rows = cluster::rows_per_pack(config_of(sweep, sweep.space.trial(0)).settings, data, *group,
                                    team, devices.own,
                                    (trials + cluster.groups() - 1) / cluster.groups());
  });
  plan = plan_sweep(sweep, shard, cluster.groups(), per_group, rows);
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
  Place place;
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
    check_trials(sweep, data);
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
  log.tell(fmt::format("is ready to train in group {} on {} with {} threads: {}",
                       cluster.group_of(world.session().rank()), devices.own.str(), team.size(),
                       devices.why));
  if (command.dry_run)
    return tell_plan(world, command, sweep, shard, devices, data, team, cluster, per_group);

  const std::filesystem::path folder = world.from_rank_0([&] {
    take_place(place, command, sweep, shard);
    fmt::print(report_stream(), "sweep      {} trials of {} in {} groups of {} rank{}, into {}\n",
               sweep.space.trials(), sweep.name(), cluster.groups(), per_group,
               per_group == 1 ? "" : "s", place.directory->path().string());
    if (const auto outlook = cluster.loss_outlook(devices); !outlook.empty())
      fmt::print(report_stream(), "if lost    {}\n", outlook);
    std::fflush(report_stream());
    return std::filesystem::absolute(place.directory->path()).string();
  });
  if (world.session().size() > 1)
    log.keep(trainer::RunDirectory(folder).log(world.session().rank()));
  watch_rank(world, settings.train, devices, folder);
  const auto mailbox = comm::make_mailbox(world.session());
  auto group = cluster.split(devices);

  const SweepDirectory directory(folder, shard);
  cluster::SweepView view(command.progress);
  std::optional<cluster::Coordinator> coordinator;
  std::optional<cluster::CoordinatorThread> thread;
  if (first) {
    coordinator.emplace(sweep, *place.ledger, shard, cluster.hosts());
    thread.emplace(cluster::CoordinatorParts{.coordinator = *coordinator,
                                             .mailbox = *mailbox,
                                             .ranks_of_group = cluster.ranks_by_group(),
                                             .sweep = sweep,
                                             .view = view});
  }
  const int rank = world.session().rank();
  const int64_t trials = (sweep.space.trials() + shard.count - 1) / shard.count;
  const cluster::GroupParts parts{
      .sweep = sweep,
      .directory = directory,
      .arguments = arguments,
      .mailbox = *mailbox,
      .devices = devices,
      .device_name = devices.names.at(rank),
      .team = team,
      .interruption = interruption,
      .group = cluster.group_of(rank),
      .trials_per_group = (trials + cluster.groups() - 1) / cluster.groups(),
      .tell = [&](const std::string& sentence) { view.note(sentence); },
      .log = [&](const std::string& sentence) { log.tell(sentence); }};
  auto code = static_cast<ExitCode>(run_group(parts, std::move(group), std::move(data)));
  if (first) {
    const auto failure = thread->join();
    code = finish(place, *coordinator, failure);
  }
  world.ranks().agree(true);  // mpirun ends the others when the first one leaves with 75
  if (world.ranks().lost_rank() >= 0) world.session().note_lost_peer();
  return code;
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
