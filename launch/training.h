// All that a verb which trains needs, made in the right order by all ranks together.
#pragma once

#include <c10/core/DeviceGuard.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/config.h"
#include "launch/devices.h"
#include "launch/world.h"
#include "trainer/dataset.h"
#include "trainer/run_files.h"
#include "trainer/thread_team.h"
#include "trainer/trainer.h"

namespace elbow::launch {

struct Training {
  ParsedConfig config;
  trainer::Dataset data;
  Devices devices;
  c10::OptionalDeviceGuard guard{};  // this thread computes on devices.own
  std::unique_ptr<trainer::ThreadTeam> team;
  std::unique_ptr<trainer::Trainer> trainer;

  comm::Communicator& ranks(World& world) const {
    return devices.nccl ? *devices.nccl : world.ranks();
  }
};

// Cores that this process may use, shared with the other ranks of its host. A GPU needs one.
int64_t threads_of(const trainer::Settings& settings, const comm::MpiSession& session,
                   const Devices& devices);

// The devices, and in exact mode all that its bits rely on. Every rank calls it, before its first
// product. mkl_branch: what exact mode must take on CPUs, because a run was begun with it; "" is
// the best that all ranks have. Throws SharedError.
Devices agree_on_devices(const trainer::TrainSettings& settings, World& world,
                         const std::string& mkl_branch = "");

// Rank 0 alone parses file, environment and command line; the others get what came of it. Every
// rank calls it. Throws SharedError.
ParsedConfig shared_config(World& world, const std::function<ParsedConfig()>& parse);

// Reads the configuration on rank 0 and the data on every rank, agrees on devices and, in exact
// mode, on what its bits rely on, and builds the trainer. Every rank calls it, before its first
// product. `world` must outlive the result. Throws SharedError.
std::unique_ptr<Training> prepare_training(World& world,
                                           const std::optional<std::filesystem::path>& file,
                                           const std::vector<std::string>& words,
                                           const std::string& mkl_branch = "");
// The same with another way to the configuration, which rank 0 alone calls.
std::unique_ptr<Training> prepare_training(World& world, const std::function<ParsedConfig()>& parse,
                                           const std::string& mkl_branch = "");
// The same for a configuration and data that all ranks have.
std::unique_ptr<Training> prepare_training(World& world, ParsedConfig config, trainer::Dataset data,
                                           const std::string& mkl_branch = "");

// The circumstances of a run that `ranks` train on devices of these names.
trainer::Manifest manifest_of(const std::vector<std::string>& arguments,
                              const comm::Communicator& ranks,
                              const std::vector<std::string>& device_names,
                              const trainer::Dataset& data, int64_t threads);

// From here on the guard of this rank judges it. On a GPU the host may wait for others unseen.
void watch_rank(World& world, const trainer::TrainSettings& settings, const Devices& devices,
                const std::string& folder);

}  // namespace elbow::launch
