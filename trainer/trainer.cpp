#include "trainer/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>

#include "models/initialisation.h"
#include "trainer/error.h"
#include "trainer/metric_sums.h"
#include "trainer/pixel_counts.h"

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(const Settings& settings, std::vector<Row> rows, const Dataset& data,
                 comm::Communicator& ranks, ThreadTeam& team, at::Device device)
    : settings_(settings),
      data_(data),
      ranks_(&ranks),
      team_(team),
      condition_(condition_plan(settings, data)),
      model_(model_of(settings, data)),
      objective_(objective_of(settings, model_->observed())),
      optimizer_(settings.optimizer),
      scale_(scale_of(settings.objective, model_->observed())) {
  pack_.rows = std::move(rows);
  const auto count = static_cast<int64_t>(pack_.rows.size());
  pack_.parameters = initial_weights().to(device);
  pack_.state = at::zeros({count, optimizer_.states(), model_->layout().size()}, device);
  if (settings.optimizer.kind == "adam")
    pack_.state.select(1, 1).fill_(settings.optimizer.second_moment_start);
  epoch_sums_ = at::zeros({count, kMetricSums}, at::kDouble);
  make_step();
  trace_ = at::full({count, steps_per_epoch(), 2, model_->latent()},
                    std::numeric_limits<float>::quiet_NaN());
  for (auto& row : pack_.rows) row.rate.total_steps = static_cast<double>(total_steps());
}

void Trainer::make_step() {
  step_ = std::make_unique<Step>(StepParts{.model = *model_,
                                           .objective = *objective_,
                                           .optimizer = optimizer_,
                                           .data = data_.train,
                                           .request = request_of(settings_.data),
                                           .batch_size = settings_.train.batch_size,
                                           .shuffle = settings_.train.shuffle,
                                           .scale = scale_,
                                           .leaves = leaves_of(settings_.train),
                                           .condition = condition_or_null()},
                                 pack_, *ranks_, team_);
}

void Trainer::leave_group() {
  pack_.parameters = pack_.parameters.clone();
  pack_.state = pack_.state.clone();
}

void Trainer::join(std::shared_ptr<comm::Communicator> survivors) {
  step_.reset();
  survivors_ = std::move(survivors);
  ranks_ = survivors_.get();
  make_step();
}

at::Tensor Trainer::initial_weights() {
  const auto& layout = model_->layout();
  const auto count = static_cast<int64_t>(pack_.rows.size());
  const auto weights = at::zeros({count, layout.size()});
  const auto how = models::initialisation_named(settings_.model.initialisation);
  team_.run(count, [&](int64_t k) {
    models::initialise(layout, how, settings_.model.initial_std, pack_.rows[k].seed,
                       weights.select(0, k));
  });
  if (settings_.model.output_bias == "data_mean") {
    const auto means = pixel_means(data_.train, request_of(settings_.data), *ranks_, team_);
    layout.view(weights, model_->output_bias()).copy_(model_->output_bias_for(means));
  }
  return weights;
}

int64_t Trainer::total_steps() const {
  return settings_.train.steps > 0 ? settings_.train.steps
                                   : settings_.train.epochs * steps_per_epoch();
}

void Trainer::start_from(const std::vector<std::pair<std::string, at::Tensor>>& weights) {
  auto row = at::zeros({model_->layout().size()});
  model_->layout().from_named(weights, row);
  pack_.parameters.copy_(row.unsqueeze(0).expand_as(pack_.parameters));
}

at::Tensor Trainer::posterior_trace(int64_t row) const {
  return trace_.select(0, row).narrow(0, 0, trace_steps_);
}

void Trainer::set_posterior_trace(int64_t row, const at::Tensor& done) {
  trace_.select(0, row).narrow(0, 0, done.size(0)).copy_(done);
  trace_steps_ = done.size(0);
}

Snapshot Trainer::snapshot() const {
  const auto copy = [](const at::Tensor& row) {
    return row.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  };
  Snapshot snapshot{.batch = pack_.batch, .epoch_seconds = epoch_seconds_};
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    const double* sums = epoch_sums_.const_data_ptr<double>() + k * kMetricSums;
    const Row& row = pack_.rows[i];
    snapshot.rows.push_back({.seed = row.seed,
                             .beta = row.beta,
                             .lr = row.lr,
                             .rate_factor = row.rate_factor,
                             .epoch = row.epoch,
                             .step = row.step,
                             .sums = {sums, sums + kMetricSums},
                             .parameters = copy(pack_.parameters.select(0, k)),
                             .state = copy(pack_.state.select(0, k))});
  }
  return snapshot;
}

void Trainer::adopt(const Snapshot& snapshot) {
  TORCH_CHECK(snapshot.rows.size() == pack_.rows.size(), "adopt: a snapshot of ",
              snapshot.rows.size(), " rows for a pack of ", pack_.rows.size());
  pack_.batch = snapshot.batch;
  epoch_seconds_ = snapshot.epoch_seconds;
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    const auto& from = snapshot.rows[i];
    auto& row = pack_.rows[i];
    row.seed = from.seed;
    row.beta = from.beta;
    row.lr = from.lr;
    row.rate_factor = from.rate_factor;
    row.epoch = from.epoch;
    row.step = from.step;
    std::copy_n(from.sums.data(), static_cast<int64_t>(kMetricSums),
                epoch_sums_.mutable_data_ptr<double>() + k * kMetricSums);
    pack_.parameters.select(0, k).copy_(from.parameters);
    pack_.state.select(0, k).copy_(from.state);
  }
}

const std::map<std::string, double>& Trainer::recon_floor_nats() {
  if (recon_floor_nats_) return *recon_floor_nats_;
  auto& floors = recon_floor_nats_.emplace();
  if (settings_.model.likelihood != "bernoulli" || settings_.data.binarise != "none") return floors;
  for (const auto* split : {&data_.train, &data_.selection()}) {
    if (!split->source)
      floors[split->name] = entropy_floor_nats(explained_part(condition_, split->images));
  }
  return floors;
}

SplitMetrics Trainer::evaluate_row(int64_t row, const Split& split, SplitId id) {
  if (!mean_picture_)
    mean_picture_ = mean_picture_of(settings_, data_.train, condition_, *ranks_, team_);
  return evaluate({.model = *model_,
                   .data = split,
                   .split = id,
                   .request = request_of(settings_.data),
                   .objective = *objective_,
                   .scale = scale_,
                   .mean_picture = *mean_picture_,
                   .condition = condition_or_null()},
                  pack_.rows[row], pack_.parameters.narrow(0, row, 1), *ranks_, team_);
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
  auto recent_sums = at::zeros({kMetricSums}, at::kDouble);  // of row 0
  auto recent = start;
  EpochResult result;
  while (pack_.batch < steps && !out_of_steps()) {
    const auto step_sums = step_->run(interruption != nullptr && interruption->requested());
    epoch_sums_.add_(step_sums);
    epoch_seconds_ = seconds_before + seconds_since(start);
    trace_.select(1, pack_.batch - 1).copy_(step_->posterior_of_first());
    trace_steps_ = pack_.batch;
    ++steps_done_;
    const double* of_step = step_sums.const_data_ptr<double>();
    recent_sums.add_(step_sums.select(0, 0));
    if (observer != nullptr &&
        (steps_done_ % settings_.log.every_steps == 0 || pack_.batch == steps || out_of_steps())) {
      const double* so_far = epoch_sums_.const_data_ptr<double>();
      const double elapsed = seconds_since(recent);
      const auto lately = metrics_of(recent_sums.const_data_ptr<double>());
      observer->on_step({.epoch = pack_.rows[0].epoch + 1,
                         .epochs = epochs(),
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
    if (of_step[kStopVotes] > 0 && pack_.batch < steps && !out_of_steps()) {
      seconds_done_ += seconds_since(start);
      result.interrupted = true;
      return result;
    }
    if (after_step && pack_.batch < steps && !finished()) after_step();
  }
  // Until all is measured the pack stands behind its last batch, so that this can be repeated.
  const bool whole = pack_.batch == steps;  // else train.steps ended the run within the epoch
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
  if (whole) {
    pack_.batch = 0;
    for (auto& row : pack_.rows) ++row.epoch;
    epoch_sums_.zero_();
    epoch_seconds_ = 0;
  }
  seconds_done_ += seconds_since(start);
  return result;
}

}  // namespace elbow::trainer
