// The words of progress reports: numbers in, one line out. Pure.
#pragma once

#include <optional>
#include <string>

#include "trainer/observer.h"

namespace elbow::launch {

// One line: "epoch  3/10  train loss 0.2231 recon 167.50 kl 5.13 | test loss 0.2263 recon 170.21
// kl 5.20 | mu -0.010 sd 1.310 sigma 0.112 sd 0.051 | 2.1 s 28571 examples/s". mu and sigma are
// those of the held-out split, the seconds those of both splits, the speed that of training.
std::string epoch_line(const trainer::SplitMetrics& train, const trainer::SplitMetrics& held_out,
                       int64_t epochs);

// The same for a terminal that is too narrow for it: "epoch  3/10  train 0.2231  test 0.2263  recon
// 170.21  kl 5.20  2.1 s", whose reconstruction and KL are those of the held-out split.
std::string short_epoch_line(const trainer::SplitMetrics& train,
                             const trainer::SplitMetrics& held_out, int64_t epochs);

// "epoch 3/10  45% [#########-----------] ETA 1:05  28571 examples/s  loss 0.2231  test 0.2263", at
// most `columns` wide (ASCII, so columns are characters): the bar shrinks first, then words leave
// from the end, each as a whole. Percent and ETA are of the whole run. `held_out`: of the last
// epoch.
std::string bar_line(const trainer::StepProgress& progress, int columns,
                     const std::optional<trainer::SplitMetrics>& held_out = std::nullopt);

// Seconds that remain at the pace so far; 0 where nothing is known yet.
double seconds_left(const trainer::StepProgress& progress);

}  // namespace elbow::launch
