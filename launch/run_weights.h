// The weights of one of a run's checkpoints, and where training stood at it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "models/model.h"
#include "trainer/run_directory.h"

namespace elbow::launch {

struct RunWeights {
  std::filesystem::path file;
  int64_t step = 0, epoch = 0;
  at::Tensor parameters;  // [1, P], float32, on the CPU
};

// The step of the checkpoint that `which` means: "latest", "best", or a step's number. Throws
// SettingError where there is none.
int64_t chosen_step(const trainer::RunDirectory& directory, const std::string& which);

// Throws DamagedCheckpoint: the checkpoint at `step` is not as it was written, or not of `model`.
RunWeights read_run_weights(const trainer::RunDirectory& directory, int64_t step,
                            const models::Model& model);

}  // namespace elbow::launch
