// The norm of a gradient, in float64, added in one fixed order: fixed stretches of the row, fixed
// lanes within a stretch, stretches from first to last. So the number of threads moves no bit.
#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/thread_team.h"

namespace elbow::trainer {

// Sum of squares. values: float32, contiguous, any device; the host waits.
double sum_of_squares(const at::Tensor& values, ThreadTeam& team);

// What the gradient is multiplied by so that its norm is at most `largest_norm`: 1, or
// largest_norm / norm (Pascanu et al. 2013, "On the difficulty of training recurrent neural
// networks", algorithm 1). largest_norm 0: no limit.
double clipping_scale(const at::Tensor& gradient, double largest_norm, ThreadTeam& team);

}  // namespace elbow::trainer
