// RUN/traces: what the posterior of each training step's first example was, before that step's
// update. One file an epoch, posterior_epoch_0001.npy, float32 [steps, 2, latent]: [s, 0] is mu and
// [s, 1] is sigma at the epoch's step s. The first epoch's and the newest one's are kept.
//
// A file may hold the beginning of an epoch: a run that stops in mid-epoch leaves it, and one that
// is resumed goes on from it. A step whose values are not known any more is NaN. Rank 0 only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>

namespace elbow::trainer {

std::filesystem::path posterior_trace_file(const std::filesystem::path& folder, int64_t epoch);

// Epochs (from 1) whose traces the folder has, with their files; none where there is no folder.
std::map<int64_t, std::filesystem::path> posterior_traces(const std::filesystem::path& folder);

// Makes the folder where it is missing, replaces the epoch's file, then removes those that are
// neither the first epoch's nor this one's. std::system_error where the disk refuses.
void save_posterior_trace(const std::filesystem::path& folder, int64_t epoch,
                          const at::Tensor& trace);

// [steps, 2, latent]. DataError where the file is anything else.
at::Tensor load_posterior_trace(const std::filesystem::path& file);

// For a run that is resumed after `steps` steps of epoch `epoch`: removes what came later, and
// returns those steps' trace [steps, 2, latent], with NaN where the folder has none.
at::Tensor resume_posterior_traces(const std::filesystem::path& folder, int64_t epoch,
                                   int64_t steps, int64_t latent);

}  // namespace elbow::trainer
