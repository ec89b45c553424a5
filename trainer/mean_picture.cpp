#include "trainer/mean_picture.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/simd.h"
#include "trainer/split_sum.h"

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

at::Tensor mean_picture(const Split& train, BatchRequest request, comm::Communicator& ranks,
                        ThreadTeam& team) {
  if (request.binarise == Binarise::kStochastic) request.binarise = Binarise::kNone;
  request.first_index = static_cast<uint32_t>(train.first_index);
  const int64_t all = train.examples(), used = std::min(all, kMeanPictureExamples);
  const int64_t observed = train.observed();
  const auto measure = [&](Range examples, double* sums) {
    std::vector<int64_t> indices;
    for (int64_t i = examples.begin; i < examples.end; ++i) indices.push_back(i * all / used);
    const auto x = at::empty({examples.size(), observed});
    gather(train, indices, request, x);
    sum_pixels(x.const_data_ptr<float>(), examples.size(), observed, sums);
  };
  return sum_over_split(used, observed, measure, ranks, team) / static_cast<double>(used);
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
