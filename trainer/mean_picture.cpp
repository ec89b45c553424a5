#include "trainer/mean_picture.h"

#include <algorithm>
#include <cmath>

#include "models/simd.h"

namespace elbow::trainer {
namespace {

ELBOW_SIMD void add_row(const float* __restrict row, int64_t observed, double* __restrict sums) {
  for (int64_t d = 0; d < observed; ++d) sums[d] += row[d];
}

}  // namespace

void sum_pixels(const float* x, int64_t examples, int64_t observed, double* sums) {
  std::fill_n(sums, observed, 0.0);
  for (int64_t i = 0; i < examples; ++i) add_row(x + i * observed, observed, sums);
}

double constant_picture_nats(const at::Tensor& picture, const double* pixel_sums,
                             int64_t examples) {
  constexpr double kClip = 1e-6;
  const double* mean = picture.const_data_ptr<double>();
  double nats = 0;
  for (int64_t d = 0; d < picture.numel(); ++d) {
    const double p = std::clamp(mean[d], kClip, 1 - kClip);
    const double x = pixel_sums[d] / static_cast<double>(examples);
    nats -= x * std::log(p) + (1 - x) * std::log1p(-p);
  }
  return nats;
}

}  // namespace elbow::trainer
