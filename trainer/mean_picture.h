// What the picture that ignores z costs: each pixel's mean over the training examples
// (pixel_counts.h), as a baseline that tells a collapsed model (evaluation.h). Pure.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace elbow::trainer {

// Above so many training examples the mean is taken over so many of them.
inline constexpr int64_t kMeanPictureExamples = 65536;

// sums[d] = sum_i x[i, d].   x: [examples, observed], contiguous.
void sum_pixels(const float* x, int64_t examples, int64_t observed, double* sums);

// Bernoulli cross-entropy of a split under the constant picture, nats per example. The picture is
// clipped to [1e-6, 1 - 1e-6], so that a pixel that is never lit in training costs no infinity.
//   picture: float64 [observed]. pixel_sums: [observed], over the split's examples.
double constant_picture_nats(const at::Tensor& picture, const double* pixel_sums, int64_t examples);

}  // namespace elbow::trainer
