// A run folder, finished or still running, opened to measure or to draw from its model: its
// configuration, its data, and the weights of one of its checkpoints. Writes nothing.
#pragma once

#include <c10/core/DeviceGuard.h>

#include <filesystem>
#include <memory>
#include <string>

#include "launch/config.h"
#include "launch/devices.h"
#include "launch/run_choice.h"
#include "launch/world.h"
#include "models/model.h"
#include "trainer/condition.h"
#include "trainer/dataset.h"
#include "trainer/evaluation.h"
#include "trainer/run_directory.h"
#include "trainer/thread_team.h"

namespace elbow::launch {

struct TrainedRun {
  trainer::RunDirectory directory;
  ParsedConfig config;
  trainer::Dataset data;
  trainer::ConditionPlan condition;
  Devices devices;
  c10::OptionalDeviceGuard guard{};  // this thread computes on devices.own
  std::unique_ptr<trainer::ThreadTeam> team{};
  std::unique_ptr<models::Model> model{};
  std::unique_ptr<models::Objective> objective{};
  std::filesystem::path weights{};  // the file
  trainer::Row row{};               // where training stood at the checkpoint
  at::Tensor parameters{};          // [1, P], on devices.own

  comm::Communicator& ranks(World& world) const {
    return devices.nccl ? *devices.nccl : world.ranks();
  }
  const trainer::Settings& settings() const { return config.settings; }

  // train, validation or test. Throws trainer::SettingError where it is unknown or has no examples.
  const trainer::Split& split(const std::string& name) const;

  // What measures `data`; without a baseline.
  trainer::EvaluationParts parts(const trainer::Split& data) const;
};

// Every rank calls it, before its first product. `world` must outlive the result. Throws
// SharedError: exit code 2 where there is no such run, checkpoint or setting, 3 for data, 4 for
// damaged weights.
std::unique_ptr<TrainedRun> open_run(World& world, const RunChoice& choice);

}  // namespace elbow::launch
