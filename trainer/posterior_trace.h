// RUN/traces: what the posterior of each training step's first example was, before that step's
// update. One file an epoch, posterior_epoch_0001.npy, float32 [kept steps, 2, latent]: [i, 0] is
// mu and [i, 1] is sigma at the epoch's step i * stride. The first epoch's and the newest one's are
// kept.
//
// The stride is 1 in epochs of up to kLongestTrace steps, and else the smallest that keeps no more
// than that many: so neither memory nor a save grows with the epoch.
//
// A file may hold the beginning of an epoch: a run that stops in mid-epoch leaves it, and one that
// is resumed goes on from it. A step whose values are not known any more is NaN. Rank 0 only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>

namespace elbow::trainer {

constexpr int64_t kLongestTrace = 4096;

// Which steps of an epoch its trace keeps.
class TraceRule {
 public:
  explicit TraceRule(int64_t steps_per_epoch)
      : stride_((steps_per_epoch + kLongestTrace - 1) / kLongestTrace) {}

  bool keeps(int64_t step) const { return step % stride_ == 0; }  // of the epoch, from 0
  // How many of the epoch's first `steps` steps are kept.
  int64_t kept(int64_t steps) const { return (steps + stride_ - 1) / stride_; }

 private:
  int64_t stride_;
};

// The posteriors of one epoch so far.
struct PosteriorTrace {
  int64_t epoch = 0;  // from 1
  at::Tensor values;  // [kept steps, 2, latent]
};

std::filesystem::path posterior_trace_file(const std::filesystem::path& folder, int64_t epoch);

// Epochs (from 1) whose traces the folder has, with their files; none where there is no folder.
std::map<int64_t, std::filesystem::path> posterior_traces(const std::filesystem::path& folder);

// Makes the folder where it is missing, replaces the epoch's file, then removes those that are
// neither the first epoch's nor this one's. std::system_error where the disk refuses.
void save_posterior_trace(const std::filesystem::path& folder, const PosteriorTrace& trace);

// [kept steps, 2, latent]. DataError where the file is anything else.
at::Tensor load_posterior_trace(const std::filesystem::path& file);

// For a run that is resumed in epoch `epoch`, of which `kept` steps are done that a trace keeps:
// removes what came later, and returns those steps' trace [kept, 2, latent], with NaN where the
// folder has none.
at::Tensor resume_posterior_traces(const std::filesystem::path& folder, int64_t epoch, int64_t kept,
                                   int64_t latent);

}  // namespace elbow::trainer
