#include "trainer/assembly.h"

#include <fmt/format.h>

#include "models/linear.h"
#include "trainer/error.h"
#include "trainer/leaves.h"
#include "trainer/mean_picture.h"
#include "trainer/pixel_counts.h"

namespace elbow::trainer {
namespace {

models::Annealing annealing_of(const ObjectiveSettings& settings) {
  models::Annealing how{.steps = settings.anneal == "none" ? 0.0 : settings.anneal_steps,
                        .cycles = static_cast<double>(settings.anneal_cycles),
                        .rise = settings.anneal_rise};
  if (settings.anneal == "sigmoid") how.shape = models::AnnealingShape::kSigmoid;
  if (settings.anneal == "cosine") how.shape = models::AnnealingShape::kCosine;
  if (settings.anneal == "cyclical") how.shape = models::AnnealingShape::kCyclical;
  return how;
}

models::RateSchedule rate_schedule_of(const OptimizerSettings& settings) {
  models::RateSchedule how{.milestones = settings.milestones,
                           .factor = settings.factor,
                           .end = settings.lr_end,
                           .warmup_steps = static_cast<double>(settings.warmup_steps)};
  for (const auto& [epochs, rate] : settings.stages) how.stages.push_back({epochs, rate});
  if (settings.schedule == "stages") how.shape = models::RateShape::kStages;
  if (settings.schedule == "milestones") how.shape = models::RateShape::kMilestones;
  if (settings.schedule == "cosine") how.shape = models::RateShape::kCosine;
  return how;
}

Binarise binarise_named(const std::string& name) {
  if (name == "none") return Binarise::kNone;
  if (name == "threshold") return Binarise::kThreshold;
  if (name == "stochastic") return Binarise::kStochastic;
  if (name == "static") return Binarise::kStatic;
  throw SettingError(
      fmt::format("data.binarise = {}: choose none, threshold, stochastic or static", name));
}

}  // namespace

Row row_of(const Settings& settings, int64_t observed) {
  const auto& objective = settings.objective;
  return {.seed = static_cast<uint64_t>(settings.train.seed),
          .beta = effective_beta(objective, observed),
          .anneal = annealing_of(objective),
          .capacity = {.from = objective.capacity_from,
                       .to = objective.capacity_nats,
                       .steps = objective.capacity_steps},
          .free_bits = objective.free_bits,
          .sigma_weight = objective.sigma_wt,
          .l2 = objective.l2,
          .lr = settings.optimizer.lr,
          .rate = rate_schedule_of(settings.optimizer),
          .clip_norm = settings.optimizer.clip_norm};
}

std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed) {
  return models::make_vae({.observed = observed,
                           .encoder = settings.model.encoder,
                           .latent = settings.model.latent,
                           .decoder = settings.model.decoder,
                           .activation = models::activation_named(settings.model.activation),
                           .posterior = models::posterior_scale_named(settings.model.posterior),
                           .likelihood = models::likelihood_named(settings.model.likelihood),
                           .sigma = settings.model.sigma,
                           .precision = settings.train.precision == "bf16"
                                            ? models::Precision::kBfloat16
                                            : models::Precision::kFloat32});
}

std::unique_ptr<models::Objective> objective_of(const Settings& settings, int64_t observed) {
  const auto& s = settings.objective;
  models::ObjectiveShape shape{.samples = s.samples, .latent = settings.model.latent};
  if (s.kind == "iwae") shape.bound = models::Bound::kIwae;
  if (s.kind == "dreg") shape.bound = models::Bound::kDreg;
  if (s.capacity == "batch") shape.kl = models::KlForm::kBatchCapacity;
  if (s.capacity == "example") shape.kl = models::KlForm::kExampleCapacity;
  if (s.free_bits > 0) {
    shape.kl = models::KlForm::kFreeBits;
    shape.groups = s.free_bits_groups > 0 ? s.free_bits_groups : settings.model.latent;
  }
  if (settings.model.likelihood == "gaussian_optimal") shape.pooled_pixels = observed;
  shape.sigma_penalty = s.sigma_wt > 0;
  return models::make_objective(shape);
}

int64_t leaves_of(const TrainSettings& settings) {
  if (settings.reproducible != "exact") return 0;
  return settings.leaves > 0 ? settings.leaves : automatic_leaves(settings.batch_size);
}

BatchRequest request_of(const DataSettings& settings) {
  return {.binarise = binarise_named(settings.binarise),
          .threshold = static_cast<int>(settings.threshold)};
}

double scale_of(const ObjectiveSettings& settings, int64_t observed) {
  return settings.reduction == "pixel_mean" ? 1.0 / static_cast<double>(observed) : 1.0;
}

at::Tensor mean_picture_of(const Settings& settings, const Split& train, comm::Communicator& ranks,
                           ThreadTeam& team) {
  if (settings.model.likelihood != "bernoulli") return {};
  return pixel_means(train, request_of(settings.data), ranks, team, kMeanPictureExamples);
}

}  // namespace elbow::trainer
