#include "launch/drawn_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "launch/codec.h"
#include "trainer/error.h"
#include "trainer/trainer.h"

namespace elbow::launch {
namespace {

Codec codec_of(const TrainedRun& run) {
  return {*run.model, run.parameters, trainer::request_of(run.settings().data)};
}

// z: [count, latent] on the host; returns [count, ...shape].
at::Tensor decoded(const TrainedRun& run, const at::Tensor& z) {
  auto shape = run.data.shape();
  shape.insert(shape.begin(), z.size(0));
  return codec_of(run).decode(z).view(shape);
}

// [rows * columns, ...] -> [rows, columns, ...]
at::Tensor as_table(const at::Tensor& pictures, int64_t columns) {
  auto shape = pictures.sizes().vec();
  shape[0] /= columns;
  shape.insert(shape.begin() + 1, columns);
  return pictures.view(shape);
}

// The first `count` examples of the split, on the host.
at::Tensor examples_of(const TrainedRun& run, const SampleCommand& command, int64_t count) {
  const auto& split = run.split(command.split);
  if (count > split.examples()) {
    throw trainer::SettingError(
        fmt::format("--count {} needs {} examples, but the split '{}' has {}: ask for fewer",
                    command.count, count, command.split, split.examples()));
  }
  return codec_of(run).examples(split, 0, count);
}

at::Tensor means_of(const TrainedRun& run, const at::Tensor& x) {
  return codec_of(run).encode(x).mu;
}

// Rows of kSteps that `count` pictures fill.
int64_t rows_of(const SampleCommand& command) {
  return std::max<int64_t>(1, command.count / kSteps);
}

DrawnPictures from_prior(const TrainedRun& run, const SampleCommand& command) {
  const auto z = codec_of(run).prior_draws(run.row.seed, command.count);
  return {decoded(run, z), fmt::format("{} samples from the prior", command.count)};
}

DrawnPictures reconstructions(const TrainedRun& run, const SampleCommand& command) {
  const int64_t pairs = std::max<int64_t>(1, command.count / 2);
  const auto x = examples_of(run, command, pairs);
  const auto drawn = decoded(run, means_of(run, x));
  return {at::stack({x.view(drawn.sizes()), drawn}, 1),
          fmt::format("{} examples of '{}' beside their reconstructions", pairs, command.split)};
}

DrawnPictures interpolations(const TrainedRun& run, const SampleCommand& command) {
  const int64_t rows = rows_of(command);
  const auto mean = means_of(run, examples_of(run, command, 2 * rows));
  const auto from = mean.slice(0, 0, 2 * rows, 2).unsqueeze(1);
  const auto to = mean.slice(0, 1, 2 * rows, 2).unsqueeze(1);
  const auto share = at::linspace(0, 1, kSteps).view({1, kSteps, 1});
  const auto z = (from + share * (to - from)).reshape({rows * kSteps, -1});
  return {as_table(decoded(run, z), kSteps),
          fmt::format("{} interpolations between examples of '{}'", rows, command.split)};
}

// Units in the order of their KL on the split, the largest first.
std::vector<int64_t> by_activity(const TrainedRun& run, const SampleCommand& command,
                                 comm::Communicator& ranks) {
  const auto metrics = trainer::evaluate(run.parts(run.split(command.split)), run.row,
                                         run.parameters, ranks, *run.team);
  const auto& kl = metrics.posterior->kl_nats;
  std::vector<int64_t> order(kl.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return kl[a] > kl[b]; });
  return order;
}

DrawnPictures traversals(const TrainedRun& run, const SampleCommand& command,
                         comm::Communicator& ranks) {
  const auto order = by_activity(run, command, ranks);
  const int64_t rows = std::min<int64_t>(rows_of(command), static_cast<int64_t>(order.size()));
  const auto values = at::linspace(-kTraversalReach, kTraversalReach, kSteps);
  auto z = at::zeros({rows, kSteps, run.model->latent()});
  for (int64_t row = 0; row < rows; ++row) z.select(0, row).select(1, order[row]).copy_(values);
  return {as_table(decoded(run, z.reshape({rows * kSteps, -1})), kSteps),
          fmt::format("{} units from {:g} to {:g}, the most active first", rows, -kTraversalReach,
                      kTraversalReach)};
}

}  // namespace

DrawnPictures draw_pictures(const TrainedRun& run, const SampleCommand& command,
                            comm::Communicator& ranks) {
  switch (command.kind) {
    case SampleKind::kPrior:
      return from_prior(run, command);
    case SampleKind::kReconstruction:
      return reconstructions(run, command);
    case SampleKind::kInterpolation:
      return interpolations(run, command);
    case SampleKind::kTraversal:
      break;
  }
  return traversals(run, command, ranks);
}

double sharpness_of(const at::Tensor& pictures) {
  const auto p = pictures.to(at::kDouble);
  return (4 * p * (1 - p)).mean().item<double>();
}

}  // namespace elbow::launch
