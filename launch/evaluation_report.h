// What `elbow evaluate` prints: a table for people, or one JSON object.
#pragma once

#include <optional>
#include <string>

#include "trainer/condition_use.h"
#include "trainer/importance_nll.h"
#include "trainer/latent_information.h"
#include "trainer/observer.h"

namespace elbow::launch {

struct EvaluationResult {
  std::string run;
  std::string weights;  // the file
  trainer::SplitMetrics metrics;
  std::optional<trainer::LatentInformation> information;  // of a model with latents
  std::optional<trainer::ImportanceNll> importance;       // given the condition, where there is one
  // Of a conditional model:
  std::optional<trainer::ImportanceNll> from_prior;
  std::optional<trainer::ConditionUse> condition_use;
  std::optional<double> sample_diversity;
};

std::string evaluation_table(const EvaluationResult& result);
std::string evaluation_json(const EvaluationResult& result);  // one line

// "2 of 2 units active, aggregated posterior 0.32 nats from the prior, ...": a line for a summary.
std::string posterior_text(const trainer::SplitMetrics& metrics);

}  // namespace elbow::launch
