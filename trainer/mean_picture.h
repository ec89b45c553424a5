// The picture that a decoder draws when it ignores z: each pixel's mean over the training examples.
// What it costs in nats is the baseline that tells a collapsed model (evaluation.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "comm/communicator.h"
#include "trainer/batch.h"
#include "trainer/dataset.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// Above so many examples the mean is taken over so many of them, evenly spaced.
inline constexpr int64_t kMeanPictureExamples = 65536;

// float64 [observed], of the examples as the model sees them; where training draws pixels anew at
// each presentation, of their probabilities. Every rank calls it, and all get the same bits.
// Throws comm::PeerLost, DataError.
at::Tensor mean_picture(const Split& train, BatchRequest request, comm::Communicator& ranks,
                        ThreadTeam& team);

// sums[d] = sum_i x[i, d].   x: [examples, observed], contiguous.
void sum_pixels(const float* x, int64_t examples, int64_t observed, double* sums);

// Bernoulli cross-entropy of a split under the constant picture, nats per example. The picture is
// clipped to [1e-6, 1 - 1e-6], so that a pixel that is never lit in training costs no infinity.
//   pixel_sums: [observed], over the split's examples.
double constant_picture_nats(const at::Tensor& picture, const double* pixel_sums, int64_t examples);

}  // namespace elbow::trainer
