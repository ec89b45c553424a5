// The softly clamped log-variance of posterior_scale.h in ATen operations, on any device.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

// PosteriorTerm of every number; all have its shape.
struct AtenTerm {
  at::Tensor sigma, log_variance, slope;
};

AtenTerm aten_clamped_log_variance(const at::Tensor& a);

}  // namespace elbow::models
