#include "models/aten_log_variance.h"

#include <ATen/ATen.h>

#include "models/posterior_scale.h"

namespace elbow::models {

AtenTerm aten_clamped_log_variance(const at::Tensor& a) {
  const auto above = a > kClampBendHigh, below = a < kClampBendLow;
  const auto u = at::where(above, a - kClampBendHigh, kClampBendLow - a) / kClampBendWidth;
  const auto bend = kClampBendWidth * u / (1 + u);
  const auto log_variance =
      at::where(above, kClampBendHigh + bend, at::where(below, kClampBendLow - bend, a));
  const auto slope =
      at::where(at::logical_or(above, below), 1 / ((1 + u) * (1 + u)), at::ones_like(a));
  return {(0.5 * log_variance).exp(), log_variance, slope};
}

}  // namespace elbow::models
