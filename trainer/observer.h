// What the training loop tells while it runs. A progress line, a log and a test watch through it;
// the loop knows none of them.
//
// Threads: the loop calls on its own thread, and waits; calls are in the order of the run.
// Ranks:   rank 0 only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trainer/posterior_statistics.h"

namespace elbow::trainer {

// Where a run stands after a step. Epochs and steps count from 1.
struct StepProgress {
  int64_t epoch = 0;
  int64_t epochs = 0;
  int64_t step_in_epoch = 0;
  int64_t steps_per_epoch = 0;
  int64_t steps_done = 0;     // by this launch: a resumed run starts again at 0
  double seconds = 0;         // since this launch's first step began, evaluation included
  double examples_per_s = 0;  // over the last few steps
  double loss = 0;            // mean over this epoch's examples so far, on the optimised scale
  int64_t step = 0;           // optimizer steps made, by earlier launches too
  // Means over the examples of the last few steps, on the scales of SplitMetrics.
  double recent_loss = 0;
  double recent_recon_nats = 0;
  double recent_kl_nats = 0;
};

// One split, measured over all its examples. For `train`: the running mean over the epoch, as
// trained.
struct SplitMetrics {
  std::string split;  // "train", "validation", "test"
  int64_t epoch = 0;
  int64_t step = 0;  // optimizer steps made when this was measured
  int64_t examples = 0;
  double loss = 0;        // on the optimised scale, with annealing and L2 as trained
  double recon_nats = 0;  // per example
  double kl_nats = 0;     // per example, without weight
  double elbo_nats = 0;   // -(recon_nats + kl_nats)
  double mu_mean = 0;     // over examples and latent units
  double mu_std = 0;
  double sigma_mean = 0;
  double sigma_std = 0;
  double clamp_rate = 0;  // share of sigmas outside [e^-9, e^4], where a log-variance's clamp bends
  std::optional<double> sigma_min;  // measured in evaluations only
  std::optional<double> sigma_max;
  std::optional<PosteriorStatistics> posterior;
  std::optional<double> baseline_recon_nats;  // of the mean training picture: what a decoder
                                              // that ignores z can reach
  std::optional<bool> collapsed;              // recon_nats is no better than that
  double seconds = 0;                         // that this split took in this epoch
  double examples_per_s = 0;
};

class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  virtual void on_step(
      const StepProgress& progress) = 0;  // after every log.every_steps steps and an epoch's last
  // After an epoch and its evaluation. `held_out` is validation, or test where there is no
  // validation split.
  virtual void on_epoch(const SplitMetrics& train, const SplitMetrics& held_out) = 0;
  virtual void on_note(const std::string& sentence) = 0;  // something that the user should know
};

}  // namespace elbow::trainer
