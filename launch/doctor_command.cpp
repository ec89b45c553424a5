#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "comm/text.h"
#include "launch/commands.h"
#include "launch/doctor/checks.h"
#include "launch/doctor/data_facts.h"
#include "launch/doctor/estimate.h"
#include "launch/doctor/folder_trial.h"
#include "launch/doctor/host_facts.h"
#include "launch/doctor/report.h"
#include "launch/doctor/software_facts.h"
#include "launch/doctor/sum_trial.h"
#include "launch/sweep/sweep_config.h"
#include "launch/training.h"
#include "launch/world.h"
#include "trainer/file_bytes.h"

namespace elbow::launch {
namespace {

using doctor::LaunchFacts;
using doctor::RankFacts;
constexpr std::chrono::seconds kFolderPatience{2};

// --pretend's file: facts by rank number, or "all". Rank 0 reads it.
nlohmann::json pretended_facts(World& world, const DoctorCommand& command) {
  const auto text = world.from_rank_0([&]() -> std::string {
    if (!command.pretend) return "{}";
    try {
      const auto bytes = trainer::read_file(*command.pretend);
      const auto json = nlohmann::json::parse(bytes.begin(), bytes.end());
      if (json.is_object()) return json.dump();
    } catch (const std::exception& error) {
      throw UsageError(
          fmt::format("--pretend {} cannot be read: {}; give a JSON object of facts by "
                      "rank, or all",
                      command.pretend->string(), error.what()));
    }
    throw UsageError(
        fmt::format("--pretend {} is no JSON object: give one of facts by rank, or all",
                    command.pretend->string()));
  });
  return nlohmann::json::parse(text);
}

void pretend(World& world, const nlohmann::json& facts_by_rank, RankFacts& facts) {
  world.together([&] {
    for (const auto& key : {std::string("all"), std::to_string(facts.rank)}) {
      const auto patch = facts_by_rank.find(key);
      if (patch == facts_by_rank.end()) continue;
      try {
        facts = replaced(facts, patch->dump());
      } catch (const std::invalid_argument& error) {
        throw UsageError(
            fmt::format("--pretend has facts for {} that are none: {}; `elbow doctor "
                        "--json` shows how they look",
                        key, error.what()));
      }
    }
  });
}

RankFacts own_facts(World& world, const trainer::Settings& settings) {
  const auto& session = world.session();
  RankFacts facts{.rank = session.rank(),
                  .host = session.host(session.rank()),
                  .cores = doctor::core_facts(),
                  .gpus = doctor::gpu_facts(),
                  .versions = doctor::version_facts(),
                  .mpi = doctor::mpi_facts(session),
                  .network = doctor::network_facts(),
                  .limits = doctor::limit_facts()};
  const bool on_gpu = !facts.gpus.visible.empty() && settings.train.device != "cpu";
  facts.cores.threads =
      on_gpu ? 1 : threads_of(settings, session, {.own = at::kCPU, .names = {}, .why = {}});
  facts.cores.threads_chosen = !on_gpu && settings.train.threads > 0;
  return facts;
}

// The same data on all ranks, so that they can make steps together.
bool same_data(World& world, const doctor::DataFacts& facts) {
  std::string mine = facts.error.empty() ? "read" : "";
  for (const auto& file : facts.files) mine += file.hash;
  const auto all = comm::gather_texts(world.ranks(), mine);
  return !all[0].empty() && std::ranges::count(all, all[0]) == std::ssize(all);
}

// Steps of training, and sums between GPUs where that is how gradients would travel.
void try_training(World& world, const DoctorCommand& command, const ParsedConfig& config,
                  trainer::Dataset data, LaunchFacts& launch) {
  std::string why_not;
  try {
    const auto training = prepare_training(world, config, std::move(data));
    launch.estimate = doctor::measure_training(*training, world);
    if (auto* nccl = training->devices.nccl.get())
      launch.sums.push_back(doctor::measure_sums(*nccl, training->devices.own, command.seconds));
  } catch (const SharedError& error) {
    why_not = error.what();
  }
  for (const auto& sentence : comm::gather_texts(world.ranks(), why_not))
    if (launch.estimate_error.empty()) launch.estimate_error = sentence;
}

}  // namespace

ExitCode run_doctor(const DoctorCommand& command, World& world) {
  auto& ranks = world.ranks();
  const auto pretended = pretended_facts(world, command);
  const auto config = shared_config(world, [&] {
    return sweep::first_config(command.config, command.words, current_environment());
  });
  auto facts = own_facts(world, config.settings);
  auto data = doctor::load_data(config.settings.data, facts.data);
  facts.clock = doctor::compare_clocks(ranks);
  facts.folder = doctor::try_folder(ranks, command.out.value_or("runs"), kFolderPatience);
  LaunchFacts launch;
  if (ranks.size() > 1)
    launch.sums.push_back(doctor::measure_sums(ranks, at::kCPU, command.seconds));
  if (same_data(world, facts.data)) try_training(world, command, config, std::move(data), launch);
  facts.memory_used_bytes = doctor::peak_memory_bytes();

  pretend(world, pretended, facts);
  for (const auto& text : comm::gather_texts(ranks, text_of(facts)))
    launch.ranks.push_back(doctor::rank_facts_from(text));
  const auto findings = doctor::judge(launch);
  const auto verdict = world.from_rank_0([&] {
    std::fputs(
        (command.json ? report_json(launch, findings) : report_text(launch, findings)).c_str(),
        stdout);
    return std::string(any_fault(findings) ? "fault" : "healthy");
  });
  return verdict == "healthy" ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace elbow::launch
