#include "trainer/evaluation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "models/forms.h"
#include "models/noise.h"
#include "trainer/mean_picture.h"
#include "trainer/metric_sums.h"
#include "trainer/optimizer.h"
#include "trainer/posterior_statistics.h"
#include "trainer/split_sum.h"

namespace elbow::trainer {
namespace {

// Where a leaf's numbers lie: the sums of metric_sums.h, the objective's own, those of
// posterior_statistics.h, and those of pixels where there is a baseline to compare with.
struct Columns {
  int64_t posterior, pixels, end;

  explicit Columns(const EvaluationParts& parts)
      : posterior(kMetricSums + parts.objective.split_sums()),
        pixels(posterior + posterior_sums(parts.model.latent())),
        end(pixels + (parts.mean_picture.defined() ? parts.model.observed() : 0)) {}
};

// What is not a sum: |mu| of each example, and the extremes of sigma of each leaf of this rank.
struct OwnValues {
  at::Tensor norms;  // float64 [own examples]
  std::vector<double> smallest_scale, largest_scale;
};

at::Tensor on_host(const at::Tensor& values) {
  return values.to(at::kCPU, at::kFloat).contiguous();
}

void measure_leaf(const EvaluationParts& parts, const Row& row,
                  const models::BoundParameters& parameters, Range range, double* sums,
                  OwnValues& own, int64_t own_begin) {
  at::NoGradGuard no_gradient;
  const auto& objective = parts.objective;
  const auto batch = batch_of(parts, row.seed, range, objective.samples());
  const auto device = parameters.value(0).device();
  const auto terms = parts.model.terms(
      parameters,
      on_device({batch.x, batch.noise, objective.log_ratio(), batch.condition}, device));
  sum_terms(terms, at::from_blob(sums, {1, kMetricSums}, at::kDouble));
  if (objective.split_sums() > 0) {
    const auto own_sums = objective.leaf_split_sums(
        terms, context_of(loss_weights(row, parts.scale), parts.data.examples(), device));
    at::from_blob(sums + kMetricSums, {1, objective.split_sums()}, at::kDouble).copy_(own_sums);
  }
  const Columns columns(parts);
  const auto mean = on_host(terms.posterior_mean), scale = on_host(terms.posterior_scale);
  const float* means = mean.const_data_ptr<float>();
  sum_posteriors(means, scale.const_data_ptr<float>(), on_host(terms.kl).const_data_ptr<float>(),
                 range.size(), parts.model.latent(), sums + columns.posterior);
  mean_norms(means, range.size(), parts.model.latent(),
             own.norms.mutable_data_ptr<double>() + range.begin - own_begin);
  if (parts.mean_picture.defined()) {
    sum_pixels(batch.x.const_data_ptr<float>(), range.size(), parts.model.observed(),
               sums + columns.pixels);
  }
  const auto leaf = (range.begin - own_begin) / kEvaluationLeaf;
  if (scale.numel() == 0) return;
  own.smallest_scale[leaf] = scale.min().item<double>();
  own.largest_scale[leaf] = scale.max().item<double>();
}

void set_extremes(const OwnValues& own, comm::Communicator& ranks, SplitMetrics& metrics) {
  auto range = at::full({2}, -std::numeric_limits<double>::infinity(), at::kDouble);
  auto* largest = range.mutable_data_ptr<double>();
  for (const double value : own.smallest_scale) largest[0] = std::max(largest[0], -value);
  for (const double value : own.largest_scale) largest[1] = std::max(largest[1], value);
  ranks.all_reduce_max(range);
  metrics.sigma_min = -largest[0];
  metrics.sigma_max = largest[1];
}

void set_baseline(const EvaluationParts& parts, const double* pixel_sums, SplitMetrics& metrics) {
  metrics.baseline_recon_nats =
      constant_picture_nats(parts.mean_picture, pixel_sums, metrics.examples);
  metrics.collapsed = metrics.recon_nats >= kCollapseShare * *metrics.baseline_recon_nats;
}

// Sum over n numbers of squares -> standard deviation; rounding can make the difference slightly
// negative.
double deviation(double sum, double square_sum, double count) {
  const double mean = sum / count;
  return std::sqrt(std::max(square_sum / count - mean * mean, 0.0));
}

}  // namespace

SplitMetrics metrics_of(const double* sums) {
  SplitMetrics metrics;
  const double n = sums[kExamples];
  const double latents = std::max(sums[kLatents], 1.0);  // a regressor has none
  metrics.examples = static_cast<int64_t>(n);
  metrics.loss = sums[kLoss] / n;
  metrics.recon_nats = sums[kReconstructionNats] / n;
  metrics.kl_nats = sums[kKlNats] / n;
  metrics.elbo_nats = -(metrics.recon_nats + metrics.kl_nats);
  metrics.mu_mean = sums[kMeanSum] / latents;
  metrics.mu_std = deviation(sums[kMeanSum], sums[kMeanSquareSum], latents);
  metrics.sigma_mean = sums[kScaleSum] / latents;
  metrics.sigma_std = deviation(sums[kScaleSum], sums[kScaleSquareSum], latents);
  metrics.clamp_rate = sums[kBentScales] / latents;
  return metrics;
}

BatchRequest measured_request(const Split& data, BatchRequest training) {
  if (training.binarise == Binarise::kStochastic) training.binarise = Binarise::kStatic;
  training.first_index = static_cast<uint32_t>(data.first_index);
  training.measured = true;
  return training;
}

models::Batch on_device(const models::Batch& batch, at::Device device) {
  return {batch.x.to(device), batch.noise.defined() ? batch.noise.to(device) : batch.noise,
          batch.log_ratio,
          batch.condition.defined() ? batch.condition.to(device) : batch.condition};
}

models::Batch pairs_of(const EvaluationParts& parts, std::span<const int64_t> indices) {
  const auto count = static_cast<int64_t>(indices.size());
  const auto request = measured_request(parts.data, parts.request);
  models::Batch batch{.x = at::empty({1, count, parts.model.observed()})};
  if (parts.condition == nullptr) {
    gather(parts.data, indices, request, batch.x.select(0, 0));
    return batch;
  }
  batch.condition = at::empty({1, count, parts.condition->width});
  gather_pair(parts.data, indices, request, *parts.condition, batch.x.select(0, 0),
              batch.condition.select(0, 0));
  return batch;
}

models::Batch batch_of(const EvaluationParts& parts, uint64_t seed, Range range, int64_t samples) {
  std::vector<int64_t> indices(range.size()), examples(range.size());
  std::iota(indices.begin(), indices.end(), range.begin);
  std::iota(examples.begin(), examples.end(), parts.data.first_index + range.begin);
  auto batch = pairs_of(parts, indices);
  batch.noise = at::empty({1, range.size() * samples, parts.model.latent()});
  models::fill_normal({seed, models::Purpose::kEvaluationNoise, static_cast<uint32_t>(parts.split)},
                      examples, batch.noise, samples);
  return batch;
}

models::BoundParameters bound_for_measuring(const models::Model& model,
                                            const at::Tensor& parameters, models::Rows rows) {
  const bool low = model.precision() == models::Precision::kBfloat16;
  const bool in_order = models::fused(parameters) && !low;
  return {model.layout(), parameters, /*gradients=*/{},
          low ? parameters.to(at::kBFloat16) : at::Tensor(),
          in_order ? rows : models::Rows::kTrials};
}

SplitMetrics evaluate(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                      comm::Communicator& ranks, ThreadTeam& team) {
  const auto start = std::chrono::steady_clock::now();
  ranks.at(row.step, "evaluation");
  const auto bound = bound_for_measuring(parts.model, parameters);
  const Columns columns(parts);
  const int64_t examples = parts.data.examples();
  const auto range = own_examples(examples, ranks);
  const auto leaves = static_cast<size_t>((range.size() + kEvaluationLeaf - 1) / kEvaluationLeaf);
  OwnValues own{at::empty({range.size()}, at::kDouble), std::vector<double>(leaves),
                std::vector<double>(leaves)};
  const auto sums = sum_over_split(
      examples, columns.end,
      [&](Range leaf, double* of_leaf) {
        measure_leaf(parts, row, bound, leaf, of_leaf, own, range.begin);
      },
      ranks, team);
  const auto norms = gather_examples(examples, own.norms, ranks);

  double* total = sums.mutable_data_ptr<double>();
  const models::SplitSums split{total[kExamples], total[kReconstructionNats], total[kKlNats],
                                total + kMetricSums};
  total[kLoss] = parts.objective.split_loss(split, loss_weights(row, parts.scale));
  total[kReconstructionNats] = parts.objective.split_reconstruction(split);
  auto metrics = metrics_of(total);
  if (row.l2 != 0)
    metrics.loss +=
        row.l2 * sum_of_squared_weights(parts.model.layout(), parameters.select(0, 0), team);
  metrics.split = parts.data.name;
  metrics.epoch = row.epoch;
  metrics.step = row.step;
  if (parts.model.latent() > 0) {
    set_extremes(own, ranks, metrics);
    const double* norm = norms.const_data_ptr<double>();
    metrics.posterior = posterior_statistics(total + columns.posterior, examples,
                                             parts.model.latent(), {norm, norm + examples});
  }
  if (parts.mean_picture.defined()) set_baseline(parts, total + columns.pixels, metrics);
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics.examples_per_s = static_cast<double>(metrics.examples) / metrics.seconds;
  return metrics;
}

}  // namespace elbow::trainer
