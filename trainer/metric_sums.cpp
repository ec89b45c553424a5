#include "trainer/metric_sums.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "models/posterior_scale.h"

namespace elbow::trainer {

void sum_terms(const models::ExampleTerms& terms, at::Tensor out) {
  const auto reconstruction = terms.reconstruction.detach().to(at::kCPU, at::kFloat).contiguous();
  const auto kl = terms.kl.detach().to(at::kCPU, at::kFloat).contiguous();
  const auto mean = terms.posterior_mean.to(at::kCPU, at::kFloat).contiguous();
  const auto scale = terms.posterior_scale.detach().to(at::kCPU, at::kFloat).contiguous();
  const int64_t batch = kl.size(1), latents = kl.size(1) * kl.size(2);
  const int64_t samples = reconstruction.size(1) / batch;
  const auto lowest = static_cast<float>(std::exp(0.5 * models::kClampBendLow));
  const auto highest = static_cast<float>(std::exp(0.5 * models::kClampBendHigh));
  for (int64_t row = 0; row < kl.size(0); ++row) {
    double* sums = out.mutable_data_ptr<double>() + row * kMetricSums;
    std::fill_n(sums, static_cast<int64_t>(kMetricSums), 0.0);
    sums[kExamples] = static_cast<double>(batch);
    sums[kLatents] = static_cast<double>(latents);
    const float* r = reconstruction.const_data_ptr<float>() + row * batch * samples;
    for (int64_t i = 0; i < batch * samples; ++i) sums[kReconstructionNats] += r[i];
    sums[kReconstructionNats] /= static_cast<double>(samples);
    const float* k = kl.const_data_ptr<float>() + row * latents;
    const float* m = mean.const_data_ptr<float>() + row * latents;
    const float* s = scale.const_data_ptr<float>() + row * latents;
    for (int64_t i = 0; i < latents; ++i) {
      sums[kKlNats] += k[i];
      sums[kMeanSum] += m[i];
      sums[kMeanSquareSum] += static_cast<double>(m[i]) * m[i];
      sums[kScaleSum] += s[i];
      sums[kScaleSquareSum] += static_cast<double>(s[i]) * s[i];
      sums[kBentScales] += s[i] < lowest || s[i] > highest ? 1.0 : 0.0;
    }
  }
}

}  // namespace elbow::trainer
