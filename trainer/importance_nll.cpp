#include "trainer/importance_nll.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/noise.h"
#include "trainer/leaves.h"
#include "trainer/split_sum.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kChunk = 256;  // samples that go through the decoder together

// One example's posterior and picture, ready for any number of samples.
struct Example {
  int64_t index;         // global
  at::Tensor x;          // [1, 1, observed], on the device
  at::Tensor condition;  // [1, 1, conditions], on the device; undefined: none
  at::Tensor mean;       // of what samples come from: [latent], on the host
  at::Tensor scale;      // the same
  double log_scales;     // sum of log sigma
};

Example prepare(const EvaluationParts& parts, const Row& row,
                const models::BoundParameters& parameters, int64_t i, const NllSampling& sampling) {
  const auto device = parameters.value(0).device();
  auto batch = batch_of(parts, row.seed, {i, i + 1});
  if (!sampling.partners.empty())
    batch.condition = pairs_of(parts, {&sampling.partners[i], 1}).condition;
  batch = on_device(batch, device);
  Example example{.index = parts.data.first_index + i, .x = batch.x, .condition = batch.condition};
  if (sampling.from_prior) {
    example.mean = at::zeros({parts.model.latent()});
    example.scale = at::ones({parts.model.latent()});
    return example;
  }
  const auto posterior = parts.model.encode(parameters, batch.x, batch.condition);
  example.mean = posterior.mean.flatten().to(at::kCPU, at::kFloat);
  example.scale = posterior.scale.flatten().to(at::kCPU, at::kFloat);
  const float* scale = example.scale.const_data_ptr<float>();
  for (int64_t j = 0; j < example.scale.numel(); ++j) {
    example.log_scales += std::log(static_cast<double>(scale[j]));
  }
  return example;
}

// z = mean + scale * noise; out[k] = log p(z_k) - log q(z_k | x): the constants cancel.
void place_samples(const Example& example, const at::Tensor& noise, at::Tensor z, double* out) {
  const int64_t latent = noise.size(1);
  const float* mean = example.mean.const_data_ptr<float>();
  const float* scale = example.scale.const_data_ptr<float>();
  const float* e = noise.const_data_ptr<float>();
  float* target = z.mutable_data_ptr<float>();
  for (int64_t k = 0; k < noise.size(0); ++k) {
    double half_squares = 0;
    for (int64_t j = 0; j < latent; ++j) {
      const float value = mean[j] + scale[j] * e[j];
      target[j] = value;
      half_squares += 0.5 * (static_cast<double>(e[j]) * e[j] - static_cast<double>(value) * value);
    }
    out[k] = half_squares + example.log_scales;
    e += latent;
    target += latent;
  }
}

LogWeights weights_of(const EvaluationParts& parts, const Row& row,
                      const models::BoundParameters& parameters, int64_t i, int64_t samples,
                      const NllSampling& sampling) {
  const at::NoGradGuard no_gradient;
  const auto device = parameters.value(0).device();
  const auto example = prepare(parts, row, parameters, i, sampling);
  LogWeights weights;
  std::vector<double> log_ratio(kChunk);
  for (int64_t begin = 0; begin < samples; begin += kChunk) {
    const int64_t count = std::min(kChunk, samples - begin);
    const auto noise = at::empty({count, parts.model.latent()}), z = at::empty_like(noise);
    models::fill_normal({row.seed, models::Purpose::kEvaluationNoise,
                         static_cast<uint32_t>(parts.split), static_cast<uint32_t>(begin + 1)},
                        {&example.index, 1}, noise, /*draws=*/count);
    place_samples(example, noise, z, log_ratio.data());
    const auto nats = parts.model
                          .reconstruction_nats(parameters, z.unsqueeze(0).to(device), example.x,
                                               example.condition)
                          .to(at::kCPU, at::kFloat)
                          .contiguous();
    const float* costs = nats.const_data_ptr<float>();
    for (int64_t k = 0; k < count; ++k) weights.add(log_ratio[k] - costs[k]);
  }
  return weights;
}

void summarise(ImportanceNll& result) {
  const double* value = result.values.const_data_ptr<double>();
  const auto n = static_cast<double>(result.examples);
  result.effective_samples_min = static_cast<double>(result.samples);
  for (int64_t i = 0; i < result.examples; ++i) {
    result.nll_nats -= value[2 * i];
    result.effective_samples += value[2 * i + 1];
    result.effective_samples_min = std::min(result.effective_samples_min, value[2 * i + 1]);
  }
  result.nll_nats /= n;
  result.effective_samples /= n;
  double squares = 0;
  for (int64_t i = 0; i < result.examples; ++i) {
    const double difference = value[2 * i] + result.nll_nats;
    squares += difference * difference;
  }
  result.standard_error = std::sqrt(squares / (n - 1) / n);  // of one example unknown: NaN
}

}  // namespace

void LogWeights::add(double log_weight) {
  ++count_;
  if (log_weight > largest_) {
    const double shrink = std::exp(largest_ - log_weight);
    sum_ = sum_ * shrink + 1;
    square_sum_ = square_sum_ * shrink * shrink + 1;
    largest_ = log_weight;
    return;
  }
  // Where no weight was above 0 yet, the difference is NaN.
  const double weight = std::isinf(log_weight) ? 0.0 : std::exp(log_weight - largest_);
  sum_ += weight;
  square_sum_ += weight * weight;
}

double LogWeights::log_mean() const {
  return largest_ + std::log(sum_ / static_cast<double>(count_));
}

double LogWeights::effective_samples() const { return sum_ * sum_ / square_sum_; }

ImportanceNll importance_nll(const EvaluationParts& parts, const Row& row,
                             const at::Tensor& parameters, int64_t examples, int64_t samples,
                             comm::Communicator& ranks, ThreadTeam& team,
                             const NllSampling& sampling) {
  ranks.at(row.step, "importance sampling");
  const auto bound = bound_for_measuring(parts.model, parameters, models::Rows::kTrials);
  const auto range = part_of(examples, ranks.size(), ranks.rank());
  auto own = at::empty({range.size(), 3}, at::kDouble);
  double* out = own.mutable_data_ptr<double>();
  team.run(range.size(), [&](int64_t i) {
    const auto weights = weights_of(parts, row, bound, range.begin + i, samples, sampling);
    out[3 * i] = weights.log_mean();
    out[3 * i + 1] = weights.effective_samples();
    out[3 * i + 2] = -weights.largest();
    ranks.progress();
  });
  ImportanceNll result{.examples = examples, .samples = samples};
  const auto values = gather_parts(examples, own, ranks);
  result.values = values.narrow(1, 0, 2).contiguous();
  result.best_nats = values.select(1, 2).mean().item<double>();
  summarise(result);
  return result;
}

}  // namespace elbow::trainer
