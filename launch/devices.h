// Where this launch computes: a device for each rank, and the group that moves tensors between
// them.
#pragma once

#include <c10/core/Device.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "launch/world.h"
#include "trainer/settings.h"

namespace elbow::launch {

struct Devices {
  at::Device own;                  // this rank's
  std::vector<std::string> names;  // by rank: "cpu", or a GPU's name
  std::string why;                 // one sentence
  // NCCL's group, where every rank has a GPU of its own; otherwise null, and the world's ranks move
  // tensors, those of a GPU through the host. Must end before the world.
  std::unique_ptr<comm::Communicator> nccl;
  // What the bits of exact mode rely on besides the program; empty in fast mode and on CPUs.
  std::map<std::string, std::string> exact_settings;
};

// Every rank calls it, before its first product, and all get the same choice. On GPUs it also sets
// this process's arithmetic: float32 without TF32, and deterministic algorithms in exact mode.
// Throws SharedError where a GPU was asked for and is not there, and where exact mode would run on
// GPUs of different models.
Devices choose_devices(const trainer::TrainSettings& settings, World& world);

}  // namespace elbow::launch
