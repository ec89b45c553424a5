#include "launch/drawn_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "launch/codec.h"
#include "launch/condition_pictures.h"
#include "launch/config_level.h"
#include "launch/file_split.h"
#include "launch/number_text.h"
#include "trainer/assembly.h"
#include "trainer/condition.h"
#include "trainer/error.h"
#include "trainer/trainer.h"

namespace elbow::launch {
namespace {

Codec codec_of(const TrainedRun& run) {
  return {*run.model, run.parameters, trainer::request_of(run.settings().data), run.condition};
}

// [count, picture] -> [count, ...shape]
at::Tensor shaped(const TrainedRun& run, const at::Tensor& pictures) {
  auto shape = run.data.shape();
  shape.insert(shape.begin(), pictures.size(0));
  return pictures.view(shape);
}

// z: [count, latent] on the host; returns [count, ...shape].
at::Tensor decoded(const TrainedRun& run, const at::Tensor& z, const at::Tensor& condition) {
  return shaped(run, codec_of(run).decode(z, condition));
}

// [rows * columns, ...] -> [rows, columns, ...]
at::Tensor as_table(const at::Tensor& pictures, int64_t columns) {
  auto shape = pictures.sizes().vec();
  shape[0] /= columns;
  shape.insert(shape.begin() + 1, columns);
  return pictures.view(shape);
}

// The first `count` examples of the split, on the host.
Pairs examples_of(const TrainedRun& run, const SampleCommand& command, int64_t count) {
  const auto& split = run.split(command.split);
  if (count > split.examples()) {
    throw trainer::SettingError(
        fmt::format("--count {} needs {} examples, but the split '{}' has {}: ask for fewer",
                    command.count, count, command.split, split.examples()));
  }
  return codec_of(run).examples(split, 0, count);
}

void need_latents(const TrainedRun& run, const char* kind) {
  if (run.model->latent() > 0) return;
  throw trainer::SettingError(
      fmt::format("--kind {} walks through latents, and the run has model.kind = regressor, which "
                  "has none: take "
                  "--kind reconstruction",
                  kind));
}

at::Tensor prior_draws(const TrainedRun& run, int64_t count) {
  return codec_of(run).prior_draws(run.row.seed, count);
}

// Rows of kSteps that `count` pictures fill.
int64_t rows_of(const SampleCommand& command) {
  return std::max<int64_t>(1, command.count / kSteps);
}

std::vector<double> numbers_in(const std::string& text) {
  std::vector<double> values;
  for (const auto& part : parts_between_commas(text)) {
    const auto value = number_from_text(part);
    if (!value)
      throw trainer::SettingError(
          fmt::format("--condition attributes has '{}', which is no number", shown(part)));
    values.push_back(*value);
  }
  return values;
}

// Of --condition: [conditions].
at::Tensor asked_condition(const TrainedRun& run, const SampleCommand& command) {
  const auto& plan = run.condition;
  const auto& asked = *command.condition;
  if (plan.kind == trainer::ConditionKind::kNone)
    throw trainer::SettingError(fmt::format(
        "--condition {} is for a conditional model, and the run has model.condition = none",
        shown(asked)));
  const auto equals = asked.find('=');
  const auto kind = asked.substr(0, equals);
  const auto value = equals == std::string::npos ? "" : asked.substr(equals + 1);
  const auto integer = integer_from_text(value);
  if (kind == "none" && value.empty()) {
    if (plan.dropout > 0) return at::zeros({plan.width});
    throw trainer::SettingError(
        "--condition none needs a model that was trained with model.condition_dropout above 0");
  }
  if (kind == "label" && integer) return trainer::condition_of_label(plan, *integer);
  if (kind == "attributes") return trainer::condition_of_attributes(plan, numbers_in(value));
  const auto& split = run.split(command.split);
  if (kind == "example" && integer && *integer >= 0 && *integer < split.examples())
    return codec_of(run).examples(split, *integer, 1).condition.select(0, 0);
  throw trainer::SettingError(
      fmt::format("--condition = '{}' (command line) is not known; allowed: label=N, "
                  "attributes=A,B,..., example=N (below {}), none",
                  shown(asked), split.examples()));
}

// Conditions of `count` pictures: the one that is asked for, or those of the split's examples.
at::Tensor conditions_of(const TrainedRun& run, const SampleCommand& command, int64_t count) {
  if (command.condition)
    return asked_condition(run, command).unsqueeze(0).expand({count, -1}).contiguous();
  if (run.condition.kind == trainer::ConditionKind::kNone) return {};
  const auto& split = run.split(command.split);
  const auto some = codec_of(run).examples(split, 0, std::min(count, split.examples())).condition;
  return some.index_select(0, at::arange(count) % some.size(0));
}

DrawnPictures from_prior(const TrainedRun& run, const SampleCommand& command) {
  const auto condition = conditions_of(run, command, command.count);
  return {decoded(run, prior_draws(run, command.count), condition),
          fmt::format("{} samples from the prior{}", command.count,
                      command.condition ? ", " + shown(*command.condition) : "")};
}

// `count` pictures of each image of a file.
DrawnPictures completions_of_file(const TrainedRun& run, const SampleCommand& command) {
  const auto& plan = run.condition;
  if (plan.kind != trainer::ConditionKind::kMask)
    throw trainer::SettingError(
        "--complete needs a model whose condition is a part of the picture, and the run has "
        "model.condition = " +
        run.settings().model.condition);
  const auto split = split_of_file(run, *command.complete);
  const int64_t images = split.examples();
  const auto pairs = codec_of(run).examples(split, 0, images);
  const auto drawn = decoded(run, prior_draws(run, images * command.count),
                             pairs.condition.repeat_interleave(command.count, 0));
  return {as_table(drawn, command.count),
          fmt::format("{} completions of each of {} images", command.count, images)};
}

DrawnPictures completions(const TrainedRun& run, const SampleCommand& command,
                          const TrainedRun* regressor) {
  if (run.condition.target.empty())
    throw trainer::SettingError(
        "--kind completion needs a model whose condition is a part of the picture: look at "
        "model.condition in the run's config.cfg");
  const int64_t rows = rows_of(command);
  const auto codec = codec_of(run);
  std::optional<Codec> other;
  Pairs other_pairs;
  if (regressor != nullptr) {
    if (regressor->condition.given != run.condition.given || regressor->model->latent() > 0)
      throw trainer::SettingError(
          fmt::format("--regressor {} is no regressor of the same part of the picture: train one "
                      "with model.kind=regressor and the same data.mask",
                      command.regressor->string()));
    other.emplace(codec_of(*regressor));
    other_pairs = examples_of(*regressor, command, rows);
  }
  auto view = completion_view(codec, examples_of(run, command, rows), other ? &*other : nullptr,
                              &other_pairs, rows, kSteps, run.row.seed);
  std::vector<at::Tensor> columns;
  for (const auto& group : view.columns) columns.push_back(group.images);
  const auto all = at::cat(columns, 1);
  return {as_table(shaped(run, all.flatten(0, 1)), all.size(1)),
          fmt::format("what is given of {} examples, {} samples of each{}, and the truth", rows,
                      kSteps, other ? ", the regressor" : ""),
          std::move(view.columns)};
}

DrawnPictures classes(const TrainedRun& run, const SampleCommand& command) {
  if (run.condition.kind != trainer::ConditionKind::kLabel)
    throw trainer::SettingError(
        "--kind classes needs a model with model.condition = label, and the run has " +
        run.settings().model.condition);
  const int64_t count = run.condition.values();
  const int64_t rows = std::max<int64_t>(1, command.count / count);
  const auto z = prior_draws(run, rows);
  DrawnPictures drawn{.what =
                          fmt::format("{} draws of the prior for each of {} classes", rows, count)};
  std::vector<at::Tensor> columns;
  for (int64_t label = 0; label < count; ++label) {
    const auto c = trainer::condition_of_label(run.condition, label);
    columns.push_back(codec_of(run).decode(z, c.unsqueeze(0).expand({rows, -1})));
    drawn.columns.push_back({std::to_string(label), columns.back().unsqueeze(1)});
  }
  drawn.pictures = as_table(shaped(run, at::stack(columns, 1).flatten(0, 1)), count);
  return drawn;
}

DrawnPictures reconstructions(const TrainedRun& run, const SampleCommand& command) {
  const int64_t pairs = std::max<int64_t>(1, command.count / 2);
  const auto examples = examples_of(run, command, pairs);
  const auto codec = codec_of(run);
  const auto drawn = decoded(run, codec.encode(examples).mu, examples.condition);
  return {at::stack({codec.whole(examples).view(drawn.sizes()), drawn}, 1),
          fmt::format("{} examples of '{}' beside their reconstructions", pairs, command.split)};
}

DrawnPictures interpolations(const TrainedRun& run, const SampleCommand& command) {
  need_latents(run, "interpolation");
  const int64_t rows = rows_of(command);
  const auto examples = examples_of(run, command, 2 * rows);
  const auto mean = codec_of(run).encode(examples).mu;
  const auto from = mean.slice(0, 0, 2 * rows, 2).unsqueeze(1);
  const auto to = mean.slice(0, 1, 2 * rows, 2).unsqueeze(1);
  const auto share = at::linspace(0, 1, kSteps).view({1, kSteps, 1});
  const auto z = (from + share * (to - from)).reshape({rows * kSteps, -1});
  // A conditional model keeps the condition of the example that the row begins with.
  const auto condition =
      examples.condition.defined()
          ? examples.condition.slice(0, 0, 2 * rows, 2).repeat_interleave(kSteps, 0)
          : at::Tensor();
  return {as_table(decoded(run, z, condition), kSteps),
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
  need_latents(run, "traversal");
  const auto order = by_activity(run, command, ranks);
  const int64_t rows = std::min<int64_t>(rows_of(command), static_cast<int64_t>(order.size()));
  const auto values = at::linspace(-kTraversalReach, kTraversalReach, kSteps);
  auto z = at::zeros({rows, kSteps, run.model->latent()});
  for (int64_t row = 0; row < rows; ++row) z.select(0, row).select(1, order[row]).copy_(values);
  SampleCommand first = command;
  first.condition = std::nullopt;
  const auto condition = conditions_of(run, first, 1);
  return {as_table(decoded(run, z.reshape({rows * kSteps, -1}),
                           condition.defined() ? condition.expand({rows * kSteps, -1}).contiguous()
                                               : condition),
                   kSteps),
          fmt::format("{} units from {:g} to {:g}, the most active first", rows, -kTraversalReach,
                      kTraversalReach)};
}

}  // namespace

DrawnPictures draw_pictures(const TrainedRun& run, const SampleCommand& command,
                            const TrainedRun* regressor, comm::Communicator& ranks) {
  if (command.complete) return completions_of_file(run, command);
  switch (command.kind) {
    case SampleKind::kPrior:
      return from_prior(run, command);
    case SampleKind::kReconstruction:
      return reconstructions(run, command);
    case SampleKind::kInterpolation:
      return interpolations(run, command);
    case SampleKind::kCompletion:
      return completions(run, command, regressor);
    case SampleKind::kClasses:
      return classes(run, command);
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
