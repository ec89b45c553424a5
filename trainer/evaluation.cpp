#include "trainer/evaluation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

#include "models/noise.h"
#include "trainer/leaves.h"
#include "trainer/metric_sums.h"
#include "trainer/optimizer.h"

namespace elbow::trainer {
namespace {

// sums: kMetricSums columns, then the objective's own.
void measure_leaf(const EvaluationParts& parts, const Row& row,
                  const models::BoundParameters& parameters, int64_t leaf, at::Tensor sums,
                  double* extremes) {
  at::NoGradGuard no_gradient;
  const int64_t begin = leaf * kEvaluationLeaf;
  const int64_t count = std::min(kEvaluationLeaf, parts.data.examples() - begin);
  std::vector<int64_t> indices(count), examples(count);
  std::iota(indices.begin(), indices.end(), begin);
  std::iota(examples.begin(), examples.end(), parts.data.first_index + begin);
  const auto x = at::empty({1, count, parts.model.observed()});
  const int64_t samples = parts.objective.samples();
  const auto noise = at::empty({1, count * samples, parts.model.latent()});
  gather(parts.data, indices, parts.request, x.select(0, 0));
  models::fill_normal(
      {row.seed, models::Purpose::kEvaluationNoise, static_cast<uint32_t>(parts.split)}, examples,
      noise, samples);
  const auto device = parameters.value(0).device();
  const auto terms =
      parts.model.terms(parameters, {x.to(device), noise.to(device), parts.objective.log_ratio()});
  sum_terms(terms, sums.narrow(1, 0, kMetricSums));
  if (sums.size(1) > kMetricSums) {
    const auto own = parts.objective.leaf_split_sums(
        terms, context_of(loss_weights(row, parts.scale), parts.data.examples(), device));
    sums.narrow(1, kMetricSums, own.size(1)).copy_(own);
  }
  extremes[0] = -terms.posterior_scale.min().item<double>();
  extremes[1] = terms.posterior_scale.max().item<double>();
}

// Adds rows [begin, end) of `sums`, of so many columns, into row `begin`: the left half is the
// largest power of two below the whole.
void add_tree(double* sums, int64_t columns, int64_t begin, int64_t end) {
  if (end - begin < 2) return;
  int64_t half = 1;
  while (2 * half < end - begin) half *= 2;
  add_tree(sums, columns, begin, begin + half);
  add_tree(sums, columns, begin + half, end);
  for (int64_t i = 0; i < columns; ++i)
    sums[begin * columns + i] += sums[(begin + half) * columns + i];
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
  const double n = sums[kExamples], latents = sums[kLatents];
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

SplitMetrics evaluate(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                      comm::Communicator& ranks, ThreadTeam& team) {
  const auto start = std::chrono::steady_clock::now();
  ranks.at(row.step, "evaluation");
  const int64_t leaves = (parts.data.examples() + kEvaluationLeaf - 1) / kEvaluationLeaf;
  const auto own = part_of(leaves, ranks.size(), ranks.rank());
  const bool low = parts.model.precision() == models::Precision::kBfloat16;
  const models::BoundParameters bound(parts.model.layout(), parameters, /*gradients=*/{},
                                      low ? parameters.to(at::kBFloat16) : at::Tensor());

  auto measured = parts;
  if (measured.request.binarise == Binarise::kStochastic)
    measured.request.binarise = Binarise::kStatic;
  measured.request.first_index = static_cast<uint32_t>(parts.data.first_index);
  const int64_t columns = kMetricSums + parts.objective.split_sums();
  auto sums = at::zeros({own.size(), columns}, at::kDouble);
  std::vector<double> extremes(2 * own.size());
  team.run(own.size(), [&](int64_t i) {
    measure_leaf(measured, row, bound, own.begin + i, sums.narrow(0, i, 1),
                 extremes.data() + 2 * i);
  });

  auto all = sums;
  if (ranks.size() > 1) {
    std::vector<int64_t> counts;
    for (int rank = 0; rank < ranks.size(); ++rank)
      counts.push_back(part_of(leaves, ranks.size(), rank).size());
    all = at::empty({leaves, columns}, at::kDouble);
    ranks.all_gather(sums, all, counts);
  }
  auto range = at::full({2}, -std::numeric_limits<double>::infinity(), at::kDouble);
  auto* largest = range.mutable_data_ptr<double>();
  for (size_t i = 0; i < extremes.size(); ++i) {
    largest[i % 2] = std::max(largest[i % 2], extremes[i]);
  }
  ranks.all_reduce_max(range);

  double* total = all.mutable_data_ptr<double>();
  add_tree(total, columns, 0, leaves);
  const models::SplitSums split{total[kExamples], total[kReconstructionNats], total[kKlNats],
                                total + kMetricSums};
  total[kLoss] = parts.objective.split_loss(split, loss_weights(row, parts.scale));
  total[kReconstructionNats] = parts.objective.split_reconstruction(split);
  auto metrics = metrics_of(total);
  if (row.l2 != 0)
    metrics.loss += row.l2 * sum_of_squared_weights(parts.model.layout(), parameters.select(0, 0));
  metrics.split = parts.data.name;
  metrics.epoch = row.epoch;
  metrics.step = row.step;
  metrics.sigma_min = -largest[0];
  metrics.sigma_max = largest[1];
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics.examples_per_s = static_cast<double>(metrics.examples) / metrics.seconds;
  return metrics;
}

}  // namespace elbow::trainer
