#include "trainer/gradient_norm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/forms.h"
#include "models/simd.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kStretch = 8192;

ELBOW_SIMD double squares_of(const float* values, int64_t count) {
  constexpr int64_t kLanes = 16;
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l)
      lane[l] += static_cast<double>(values[i + l]) * static_cast<double>(values[i + l]);
  }
  for (int64_t l = 0; i < count; ++i, ++l)
    lane[l] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

}  // namespace

double sum_of_squares(const at::Tensor& values, ThreadTeam& team) {
  if (!models::fused(values)) return values.to(at::kDouble).square().sum().item<double>();
  const float* numbers = values.const_data_ptr<float>();
  const int64_t count = values.numel();
  std::vector<double> sums((count + kStretch - 1) / kStretch);
  team.run(static_cast<int64_t>(sums.size()), [&](int64_t i) {
    sums[i] = squares_of(numbers + i * kStretch, std::min(kStretch, count - i * kStretch));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

double clipping_scale(const at::Tensor& gradient, double largest_norm, ThreadTeam& team) {
  if (largest_norm == 0) return 1;
  const double norm = std::sqrt(sum_of_squares(gradient, team));
  return norm > largest_norm ? largest_norm / norm : 1;
}

}  // namespace elbow::trainer
