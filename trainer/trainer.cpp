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
  first_rows_ = std::move(rows);
  const auto count = static_cast<int64_t>(first_rows_.size());
  pack_.parameters = at::empty({count, model_->layout().size()}, device);
  pack_.state = at::empty({count, optimizer_.states(), model_->layout().size()}, device);
  epoch_sums_ = at::empty({count, kMetricSums}, at::kDouble);
  restart();
  step_ = std::make_unique<Step>(StepParts{.model = *model_,
                                           .objective = *objective_,
                                           .optimizer = optimizer_,
                                           .data = data_.train,
                                           .request = request(),
                                           .batch_size = settings.train.batch_size,
                                           .shuffle = settings.train.shuffle,
                                           .scale = scale_,
                                           .leaves = leaves_of(settings.train)},
                                 pack_, ranks_, team_);
}

void Trainer::restart() {
  pack_.rows = first_rows_;
  pack_.batch = 0;
  const auto initial = at::zeros(pack_.parameters.sizes());
  const auto how = models::initialisation_named(settings_.model.initialisation);
  team_.run(initial.size(0), [&](int64_t k) {
    models::initialise(model_->layout(), how, settings_.model.initial_std, pack_.rows[k].seed,
                       initial.select(0, k));
  });
  pack_.parameters.copy_(initial);
  pack_.state.zero_();
  epoch_sums_.zero_();
  epoch_seconds_ = 0;
}

Snapshot Trainer::snapshot() const {
  const auto copy = [](const at::Tensor& row) {
    return row.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  };
  Snapshot snapshot{.batch = pack_.batch, .epoch_seconds = epoch_seconds_};
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    const double* sums = epoch_sums_.const_data_ptr<double>() + k * kMetricSums;
    snapshot.rows.push_back({.row = pack_.rows[i],
                             .sums = {sums, sums + kMetricSums},
                             .parameters = copy(pack_.parameters.select(0, k)),
                             .state = copy(pack_.state.select(0, k))});
  }
  return snapshot;
}

void Trainer::restore(const Snapshot& snapshot) {
  TORCH_CHECK(snapshot.rows.size() == pack_.rows.size(), "restore: a snapshot of ",
              snapshot.rows.size(), " rows for a pack of ", pack_.rows.size());
  pack_.batch = snapshot.batch;
  epoch_seconds_ = snapshot.epoch_seconds;
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    const auto& from = snapshot.rows[i];
    pack_.rows[i] = from.row;
    std::copy_n(from.sums.data(), static_cast<int64_t>(kMetricSums),
                epoch_sums_.mutable_data_ptr<double>() + k * kMetricSums);
    pack_.parameters.select(0, k).copy_(from.parameters);
    pack_.state.select(0, k).copy_(from.state);
  }
}

BatchRequest Trainer::request() const {
  return {.binarise = binarise_named(settings_.data.binarise),
          .threshold = static_cast<int>(settings_.data.threshold)};
}

SplitMetrics Trainer::evaluate_row(int64_t row, const Split& split, SplitId id) {
  return evaluate(
      {.model = *model_, .data = split, .split = id, .request = request(), .scale = scale_},
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

EpochResult Trainer::run_epoch(Observer* observer, const Interruption* interruption,
                               const std::function<void()>& after_step) {
  const auto start = Clock::now();
  const double seconds_before = epoch_seconds_;
  const int64_t steps = steps_per_epoch();
  const auto rows = static_cast<int64_t>(pack_.rows.size());
  auto recent = start;
  int64_t recent_examples = 0;
  EpochResult result;
  while (pack_.batch < steps) {
    const auto step_sums = step_->run(interruption != nullptr && interruption->requested());
    epoch_sums_.add_(step_sums);
    epoch_seconds_ = seconds_before + seconds_since(start);
    ++steps_done_;
    const double* of_step = step_sums.const_data_ptr<double>();
    recent_examples += static_cast<int64_t>(of_step[kExamples]);
    if (observer != nullptr &&
        (steps_done_ % settings_.log.every_steps == 0 || pack_.batch == steps)) {
      const double* so_far = epoch_sums_.const_data_ptr<double>();
      const double elapsed = seconds_since(recent);
      observer->on_step({.epoch = pack_.rows[0].epoch + 1,
                         .epochs = settings_.train.epochs,
                         .step_in_epoch = pack_.batch,
                         .steps_per_epoch = steps,
                         .steps_done = steps_done_,
                         .seconds = seconds_done_ + seconds_since(start),
                         .examples_per_s = static_cast<double>(recent_examples) / elapsed,
                         .loss = so_far[kLoss] / so_far[kExamples]});
      recent = Clock::now();
      recent_examples = 0;
    }
    if (of_step[kStopVotes] > 0 && pack_.batch < steps) {
      seconds_done_ += seconds_since(start);
      result.interrupted = true;
      return result;
    }
    if (after_step && pack_.batch < steps) after_step();
  }
  // Until all is measured the pack stands behind its last batch, so that this can be repeated.
  for (int64_t k = 0; k < rows; ++k) {
    const auto& row = pack_.rows[k];
    auto train = metrics_of(epoch_sums_.const_data_ptr<double>() + k * kMetricSums);
    train.split = data_.train.name;
    train.epoch = row.epoch + 1;
    train.step = row.step;
    train.seconds = epoch_seconds_;
    train.examples_per_s = static_cast<double>(train.examples) / epoch_seconds_;
    result.train.push_back(train);
    const auto& held_out = data_.selection();
    const auto id = held_out.name == data_.test.name ? SplitId::kTest : SplitId::kValidation;
    result.held_out.push_back(evaluate_row(k, held_out, id));
    result.held_out.back().epoch = train.epoch;
  }
  pack_.batch = 0;
  for (auto& row : pack_.rows) ++row.epoch;
  epoch_sums_.zero_();
  epoch_seconds_ = 0;
  seconds_done_ += seconds_since(start);
  return result;
}

}  // namespace elbow::trainer
