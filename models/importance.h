// The importance-weighted bound of each example over its own samples: log w_s = -(reconstruction_s
// + kl_weight * log_ratio_s). With kl_weight 1 its mean is Burda et al. 2016, equation 8.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

struct ImportanceWeighted {
  at::Tensor loss;     // [rows], float64: -sum_i log mean_s w_is; differentiable
  at::Tensor weights;  // [rows, batch * samples], w_is / sum_s w_is, detached, of the terms' type
};

//   reconstruction, log_ratio: [rows, batch * samples], the samples of an example side by side;
//   kl_weight: [rows], float64.
// The weights count as constants in the gradient, which is w_is for the reconstruction and
// kl_weight w_is for the log ratio; with `squared`, the latter is kl_weight w_is^2.
ImportanceWeighted importance_weighted(const at::Tensor& reconstruction,
                                       const at::Tensor& log_ratio, const at::Tensor& kl_weight,
                                       int64_t samples, bool squared);

}  // namespace elbow::models
