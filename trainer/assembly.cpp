#include "trainer/assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "models/linear.h"
#include "models/patches.h"
#include "models/sparse_products.h"
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

models::VaeShape vae_shape_of(const Settings& settings, int64_t observed) {
  return {.observed = observed,
          .encoder = settings.model.encoder,
          .latent = settings.model.latent,
          .decoder = settings.model.decoder,
          .activation = models::activation_named(settings.model.activation),
          .posterior = models::posterior_scale_named(settings.model.posterior),
          .likelihood = models::likelihood_named(settings.model.likelihood),
          .sigma = settings.model.sigma,
          .precision = settings.train.precision == "bf16" ? models::Precision::kBfloat16
                                                          : models::Precision::kFloat32};
}

models::ImageShape image_shape_of(const ModelSettings& settings, const Dataset& data) {
  models::PatchShape step{data.height, data.width, 1, settings.kernel, /*stride=*/2};
  for (size_t i = 0; i < settings.channels.size(); ++i) {
    if (std::min(step.height, step.width) + 2 * step.padding() < step.kernel) {
      throw SettingError(
          fmt::format("model.channels has {} convolutions, but after {} of them a {} x {} image is "
                      "{} x {}, too "
                      "small for model.kernel = {}: use fewer convolutions or a smaller kernel",
                      settings.channels.size(), i, data.height, data.width, step.height, step.width,
                      settings.kernel));
    }
    step = {step.patch_rows(), step.patch_columns(), 1, settings.kernel, /*stride=*/2};
  }
  return {data.height, data.width, data.channels, settings.channels, settings.kernel};
}

models::ConditionShape condition_shape_of(const ModelSettings& settings,
                                          const ConditionPlan& plan) {
  return {.width = plan.width,
          .path = settings.path,
          .join = settings.join == "add" ? models::Join::kAdd : models::Join::kConcatenate,
          .encoder_layer = settings.join_layer,
          .into_encoder = settings.condition_into == "both",
          .learned_prior = settings.prior == "learned",
          .prior = settings.prior_hidden,
          .given = plan.given,
          .target = plan.target,
          .picture = plan.picture};
}

void check_condition(const ModelSettings& settings) {
  if (settings.kind == "vae") {
    if (settings.condition == "none" || settings.condition_into != "encoder") return;
    throw SettingError(fmt::format(
        "model.condition_into = encoder cuts the condition from the decoder, which then models "
        "p(x | z) and not p(x | z, c), whatever model.condition = {} says: take "
        "model.condition_into=both, or model.kind=bottleneck if that is what you want",
        settings.condition));
  }
  if (settings.condition == "none")
    throw SettingError(
        fmt::format("model.kind = {} sees nothing but a condition, and model.condition = none: set "
                    "it to label, attributes or mask",
                    settings.kind));
  if (settings.kind == "bottleneck" && settings.network != "mlp")
    throw SettingError(
        "model.kind = bottleneck has no image to convolve, and model.network = conv: take "
        "model.network=mlp");
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

std::unique_ptr<models::Model> model_of(const Settings& settings, const Dataset& data) {
  const auto plan = condition_plan(settings, data);
  auto shape = vae_shape_of(settings, plan.observed);
  if (settings.model.network == "conv") shape.image = image_shape_of(settings.model, data);
  if (plan.kind != ConditionKind::kNone) shape.condition = condition_shape_of(settings.model, plan);
  check_condition(settings.model);
  shape.mostly_zeros =
      !shape.image && zero_share(data.train, request_of(settings.data)) >= models::kMostlyZeros;
  try {
    if (settings.model.kind == "regressor") return models::make_regressor(shape);
    if (settings.model.kind == "bottleneck") return models::make_bottleneck(shape);
    return models::make_vae(shape);
  } catch (const std::invalid_argument& misfit) {
    throw SettingError(misfit.what());
  }
}

std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed) {
  if (settings.model.condition != "none")
    throw SettingError("model.condition needs data, which say what it is");
  if (settings.model.network != "mlp")
    throw SettingError("model.network = conv needs images, whose height and width are known");
  return models::make_vae(vae_shape_of(settings, observed));
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

at::Tensor mean_picture_of(const Settings& settings, const Split& train, const ConditionPlan& plan,
                           comm::Communicator& ranks, ThreadTeam& team) {
  if (settings.model.likelihood != "bernoulli") return {};
  return explained_part(
      plan, pixel_means(train, request_of(settings.data), ranks, team, kMeanPictureExamples));
}

}  // namespace elbow::trainer
