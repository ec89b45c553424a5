#include "launch/training.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

#include "comm/communicators.h"
#include "comm/heartbeat.h"
#include "comm/text.h"
#include "launch/effective_config.h"
#include "models/mkl.h"

namespace elbow::launch {
namespace {

// Fixes MKL's branch to `branch`, or where that is empty to the best one that all ranks have. Every
// rank calls it, before its first product.
std::string agree_on_mkl_branch(World& world, std::string branch) {
  const auto bests = comm::gather_texts(world.ranks(), models::best_mkl_branch());
  if (branch.empty()) {
    const auto full = [](const std::string& best) { return best == "avx512"; };
    branch = std::all_of(bests.begin(), bests.end(), full) ? "avx512" : "avx2";
  }
  world.together([&] { branch = models::fix_mkl_branch(branch); });
  return branch;
}

}  // namespace

ParsedConfig shared_config(World& world, const std::function<ParsedConfig()>& parse) {
  ParsedConfig config;
  const auto text = world.from_rank_0([&] {
    config = parse();
    return effective_config(config, /*observed=*/std::nullopt);
  });
  if (world.ranks().rank() > 0) config = parse_config_text(text, "the configuration of rank 0");
  world.log().tell("has the configuration");
  return config;
}

int64_t threads_of(const trainer::Settings& settings, const comm::MpiSession& session,
                   const Devices& devices) {
  if (!devices.own.is_cpu()) return 1;
  if (settings.train.threads > 0) return settings.train.threads;
  cpu_set_t cores;
  const int64_t usable = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  return std::max<int64_t>(1, usable / session.local_size());
}

Devices agree_on_devices(const trainer::TrainSettings& settings, World& world,
                         const std::string& mkl_branch) {
  auto devices = choose_devices(settings, world);
  const int64_t leaves = trainer::leaves_of(settings);
  if (leaves == 0) return devices;
  devices.exact_settings["leaves"] = std::to_string(leaves);
  if (devices.own.is_cpu())
    devices.exact_settings["mkl_branch"] = agree_on_mkl_branch(world, mkl_branch);
  return devices;
}

std::unique_ptr<Training> prepare_training(World& world,
                                           const std::optional<std::filesystem::path>& file,
                                           const std::vector<std::string>& words,
                                           const std::string& mkl_branch) {
  return prepare_training(
      world, [&] { return parse_config(file, words, current_environment()); }, mkl_branch);
}

std::unique_ptr<Training> prepare_training(World& world, const std::function<ParsedConfig()>& parse,
                                           const std::string& mkl_branch) {
  auto config = shared_config(world, parse);
  trainer::Dataset data;
  world.together([&] { data = trainer::load_dataset(config.settings.data); });
  world.log().tell(fmt::format("has the data: {} examples", data.train.examples()));
  return prepare_training(world, std::move(config), std::move(data), mkl_branch);
}

std::unique_ptr<Training> prepare_training(World& world, ParsedConfig config, trainer::Dataset data,
                                           const std::string& mkl_branch) {
  auto devices = agree_on_devices(config.settings.train, world, mkl_branch);
  std::unique_ptr<Training> training(new Training{
      .config = std::move(config), .data = std::move(data), .devices = std::move(devices)});
  const auto& settings = training->config.settings;
  world.log().tell(
      fmt::format("computes on {}: {}", training->devices.own.str(), training->devices.why));
  training->guard.reset_device(training->devices.own);
  training->team = std::make_unique<trainer::ThreadTeam>(
      threads_of(settings, world.session(), training->devices));
  world.together([&] {
    training->trainer = std::make_unique<trainer::Trainer>(
        settings,
        std::vector{
            trainer::row_of(settings, trainer::condition_plan(settings, training->data).observed)},
        training->data, training->ranks(world), *training->team, training->devices.own);
  });
  world.log().tell(fmt::format("is ready to train, with {} thread{}", training->team->size(),
                               training->team->size() == 1 ? "" : "s"));
  return training;
}

trainer::Manifest manifest_of(const std::vector<std::string>& arguments,
                              const comm::Communicator& ranks,
                              const std::vector<std::string>& device_names,
                              const trainer::Dataset& data, int64_t threads) {
  trainer::Manifest manifest{.arguments = arguments,
                             .mpi = comm::mpi_library(),
                             .backend = ranks.backend(),
                             .threads_per_rank = threads,
                             .data_files = data.files,
                             .started = trainer::utc_now(),
                             .exact_settings = {}};
  manifest.arguments.insert(manifest.arguments.begin(), "elbow");
  for (int rank = 0; rank < ranks.size(); ++rank)
    manifest.ranks.push_back({ranks.host(rank), device_names[rank]});
  return manifest;
}

void watch_rank(World& world, const trainer::TrainSettings& settings, const Devices& devices,
                const std::string& folder) {
  if (!devices.own.is_cpu()) return;
  const std::chrono::duration<double> timeout(settings.hang_timeout);
  world.session().watch({.deadline = std::chrono::duration_cast<std::chrono::milliseconds>(timeout),
                         .debugger_may_stop = settings.hang_debugger,
                         .folder = folder});
}

}  // namespace elbow::launch
