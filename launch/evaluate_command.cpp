#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "launch/commands.h"
#include "launch/evaluation_report.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "models/noise.h"
#include "trainer/assembly.h"
#include "trainer/error.h"
#include "trainer/npy_file.h"

namespace elbow::launch {
namespace {

// Of at most so many examples as N^2 allows, evenly spaced, with the evaluation's noise.
trainer::LatentInformation information_of(const TrainedRun& run,
                                          const trainer::EvaluationParts& parts,
                                          comm::Communicator& ranks) {
  const auto all = trainer::encode_split(parts, run.row, run.parameters, ranks, *run.team);
  const int64_t examples = all.mean.size(0), latent = all.mean.size(1);
  const int64_t used = trainer::information_examples(examples, latent);
  std::vector<int64_t> indices(used), global(used);
  for (int64_t i = 0; i < used; ++i) {
    indices[i] = i * examples / used;
    global[i] = parts.data.first_index + indices[i];
  }
  const auto chosen = at::tensor(indices, at::kLong);
  const auto noise = at::empty({used, latent});
  models::fill_normal(
      {run.row.seed, models::Purpose::kEvaluationNoise, static_cast<uint32_t>(parts.split)}, global,
      noise);
  return trainer::latent_information(
      {all.mean.index_select(0, chosen), all.scale.index_select(0, chosen)}, noise, ranks,
      *run.team);
}

void check_likelihood(const trainer::Settings& settings) {
  if (settings.model.likelihood != "gaussian_optimal") return;
  throw trainer::SettingError(
      "--importance-samples needs p(x | z) of one example, but with model.likelihood = "
      "gaussian_optimal its sigma is the whole batch's: evaluate without --importance-samples, or "
      "train with model.likelihood=gaussian_learned");
}

// Whether the condition is used, on at most so many examples, and how samples differ.
void measure_condition(const TrainedRun& run, const trainer::EvaluationParts& parts,
                       const EvaluateCommand& command, comm::Communicator& ranks,
                       EvaluationResult& result) {
  constexpr int64_t kMostExamples = 1000, kFewSamples = 100;
  const int64_t examples =
      std::min({parts.data.examples(), kMostExamples, command.examples.value_or(kMostExamples)});
  const int64_t samples = command.importance_samples > 0 ? command.importance_samples : kFewSamples;
  if (examples < 2 || run.settings().model.likelihood == "gaussian_optimal") return;
  const bool has_latents = run.model->latent() > 0;
  result.condition_use = trainer::condition_use(parts, run.row, run.parameters, examples,
                                                has_latents ? samples : 1, ranks, *run.team);
  if (has_latents)
    result.sample_diversity =
        trainer::sample_diversity(parts, run.row, run.parameters, examples, ranks, *run.team);
}

}  // namespace

ExitCode run_evaluate(const EvaluateCommand& command, World& world) {
  const auto run = open_run(world, command.choice);
  auto& ranks = run->ranks(world);
  const bool first = ranks.rank() == 0;
  const trainer::Split* split = nullptr;
  world.together([&] {
    split = &run->split(command.split);
    if (command.importance_samples > 0) check_likelihood(run->settings());
  });
  auto parts = run->parts(*split);
  parts.mean_picture =
      trainer::mean_picture_of(run->settings(), run->data.train, run->condition, ranks, *run->team);

  EvaluationResult result{.run = run->directory.path().string(), .weights = run->weights.string()};
  result.metrics = trainer::evaluate(parts, run->row, run->parameters, ranks, *run->team);
  const bool has_latents = run->model->latent() > 0;
  if (has_latents) result.information = information_of(*run, parts, ranks);
  const int64_t examples =
      std::min(command.examples.value_or(split->examples()), split->examples());
  const auto nll = [&](const trainer::NllSampling& sampling) {
    return trainer::importance_nll(parts, run->row, run->parameters, examples,
                                   has_latents ? command.importance_samples : 1, ranks, *run->team,
                                   sampling);
  };
  if (command.importance_samples > 0) result.importance = nll({});
  // A bottleneck's p(x | z) is no model given the condition: what is sampled above is log p(x).
  if (run->condition.kind != trainer::ConditionKind::kNone &&
      run->settings().model.kind != "bottleneck") {
    if (command.importance_samples > 0 && has_latents)
      result.from_prior = nll({.from_prior = true});
    measure_condition(*run, parts, command, ranks, result);
  }
  world.together([&] {
    if (!first) return;
    if (command.out) trainer::write_npy(*command.out, result.importance->values);
    std::fputs((command.json ? evaluation_json(result) : evaluation_table(result)).c_str(), stdout);
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
