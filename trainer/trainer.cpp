#include "trainer/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>

#include "models/initialisation.h"
#include "models/linear.h"
#include "trainer/error.h"
#include "trainer/metric_sums.h"

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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
  return {
      .seed = static_cast<uint64_t>(settings.train.seed),
      .beta = effective_beta(settings.objective, observed),
      .anneal_steps = settings.objective.anneal == "linear" ? settings.objective.anneal_steps : 0.0,
      .l2 = settings.objective.l2,
      .lr = settings.optimizer.lr};
}

std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed) {
  return models::make_vae({.observed = observed,
                           .encoder = settings.model.encoder,
                           .latent = settings.model.latent,
                           .decoder = settings.model.decoder,
                           .activation = models::activation_named(settings.model.activation),
                           .precision = settings.train.precision == "bf16"
                                            ? models::Precision::kBfloat16
                                            : models::Precision::kFloat32});
}

BatchRequest request_of(const DataSettings& settings) {
  return {.binarise = binarise_named(settings.binarise),
          .threshold = static_cast<int>(settings.threshold)};
}

int64_t leaves_of(const TrainSettings& settings) {
  if (settings.reproducible != "exact") return 0;
  return settings.leaves > 0 ? settings.leaves : automatic_leaves(settings.batch_size);
}

Trainer::Trainer(const Settings& settings, std::vector<Row> rows, const Dataset& data,
                 comm::Communicator& ranks, ThreadTeam& team, at::Device device)
    : settings_(settings),
      data_(data),
      ranks_(ranks),
      team_(team),
      model_(model_of(settings, data.observed())),
      objective_(models::make_elbo()),
      optimizer_(settings.optimizer),
      scale_(settings.objective.reduction == "pixel_mean"
                 ? 1.0 / static_cast<double>(data.observed())
                 : 1.0) {
  pack_.rows = std::move(rows);
  const auto count = static_cast<int64_t>(pack_.rows.size());
  const auto initial = at::zeros({count, model_->layout().size()});
  const auto how = models::initialisation_named(settings.model.initialisation);
  team_.run(count, [&](int64_t k) {
    models::initialise(model_->layout(), how, settings_.model.initial_std, pack_.rows[k].seed,
                       initial.select(0, k));
  });
  pack_.parameters = initial.to(device);
  pack_.state = at::zeros({count, optimizer_.states(), model_->layout().size()}, device);
  step_ = std::make_unique<Step>(StepParts{.model = *model_,
                                           .objective = *objective_,
                                           .optimizer = optimizer_,
                                           .data = data_.train,
                                           .request = request_of(settings.data),
                                           .batch_size = settings.train.batch_size,
                                           .shuffle = settings.train.shuffle,
                                           .scale = scale_,
                                           .leaves = leaves_of(settings.train)},
                                 pack_, ranks_, team_);
  trace_ = at::empty({count, steps_per_epoch(), 2, model_->latent()});
}

at::Tensor Trainer::posterior_trace(int64_t row) const {
  return trace_.select(0, row).narrow(0, 0, trace_steps_);
}

void Trainer::set_posterior_trace(int64_t row, const at::Tensor& done) {
  trace_.select(0, row).narrow(0, 0, done.size(0)).copy_(done);
  trace_steps_ = done.size(0);
}

SplitMetrics Trainer::evaluate_row(int64_t row, const Split& split, SplitId id) {
  return evaluate({.model = *model_,
                   .data = split,
                   .split = id,
                   .request = request_of(settings_.data),
                   .scale = scale_},
                  pack_.rows[row], pack_.parameters.narrow(0, row, 1), ranks_, team_);
}

void Trainer::run_steps(int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    step_->run(/*stop_vote=*/false);
    if (pack_.batch < steps_per_epoch()) continue;
    pack_.batch = 0;
    for (auto& row : pack_.rows) ++row.epoch;
  }
}

EpochResult Trainer::run_epoch(Observer* observer, const Interruption* interruption) {
  const auto start = Clock::now();
  const int64_t steps = steps_per_epoch();
  const auto rows = static_cast<int64_t>(pack_.rows.size());
  auto sums = at::zeros({rows, kMetricSums}, at::kDouble);
  auto recent_sums = at::zeros({kMetricSums}, at::kDouble);  // of row 0
  auto recent = start;
  EpochResult result;
  while (pack_.batch < steps) {
    const auto step_sums = step_->run(interruption != nullptr && interruption->requested());
    sums.add_(step_sums);
    trace_.select(1, pack_.batch - 1).copy_(step_->posterior_of_first());
    trace_steps_ = pack_.batch;
    ++steps_done_;
    const double* of_step = step_sums.const_data_ptr<double>();
    recent_sums.add_(step_sums.select(0, 0));
    if (observer != nullptr &&
        (steps_done_ % settings_.log.every_steps == 0 || pack_.batch == steps)) {
      const double* so_far = sums.const_data_ptr<double>();
      const double elapsed = seconds_since(recent);
      const auto lately = metrics_of(recent_sums.const_data_ptr<double>());
      observer->on_step({.epoch = pack_.rows[0].epoch + 1,
                         .epochs = settings_.train.epochs,
                         .step_in_epoch = pack_.batch,
                         .steps_per_epoch = steps,
                         .steps_done = steps_done_,
                         .seconds = seconds_done_ + seconds_since(start),
                         .examples_per_s = static_cast<double>(lately.examples) / elapsed,
                         .loss = so_far[kLoss] / so_far[kExamples],
                         .step = pack_.rows[0].step,
                         .recent_loss = lately.loss,
                         .recent_recon_nats = lately.recon_nats,
                         .recent_kl_nats = lately.kl_nats});
      recent = Clock::now();
      recent_sums.zero_();
    }
    if (of_step[kStopVotes] > 0 && pack_.batch < steps) {
      seconds_done_ += seconds_since(start);
      result.interrupted = true;
      return result;
    }
  }
  const double seconds = seconds_since(start);
  pack_.batch = 0;
  for (int64_t k = 0; k < rows; ++k) {
    auto& row = pack_.rows[k];
    ++row.epoch;
    auto train = metrics_of(sums.const_data_ptr<double>() + k * kMetricSums);
    train.split = data_.train.name;
    train.epoch = row.epoch;
    train.step = row.step;
    train.seconds = seconds;
    train.examples_per_s = static_cast<double>(train.examples) / seconds;
    result.train.push_back(train);
    const auto& held_out = data_.selection();
    const auto id = held_out.name == data_.test.name ? SplitId::kTest : SplitId::kValidation;
    result.held_out.push_back(evaluate_row(k, held_out, id));
  }
  seconds_done_ += seconds_since(start);
  return result;
}

}  // namespace elbow::trainer
