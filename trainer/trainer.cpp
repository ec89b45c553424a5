#include "trainer/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>

#include "models/initialisation.h"
#include "trainer/error.h"
#include "trainer/metric_sums.h"
#include "trainer/pixel_counts.h"
#include "trainer/seconds_since.h"

namespace elbow::trainer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kStragglerSteps = 256;    // between two comparisons of the ranks
constexpr double kStragglerSeconds = 10.0;  // of work, before anybody is called slow

// By any rank, which has voted in every row that stepped.
bool stop_wanted(const at::Tensor& step_sums) {
  const double* sums = step_sums.const_data_ptr<double>();
  for (int64_t k = 0; k < step_sums.size(0); ++k)
    if (sums[k * kMetricSums + kStopVotes] > 0) return true;
  return false;
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
      scale_(scale_of(settings.objective, model_->observed())),
      stragglers_(settings.log.straggler, kStragglerSeconds),
      trace_rule_(steps_per_epoch()) {
  pack_.rows = std::move(rows);
  const auto count = static_cast<int64_t>(pack_.rows.size());
  pack_.parameters = initial_weights().to(device);
  pack_.state = at::empty({count, optimizer_.states(), model_->layout().size()}, device);
  for (int64_t k = 0; k < count; ++k) start_state(k);
  epoch_sums_ = at::zeros({count, kMetricSums}, at::kDouble);
  make_step();
  trace_ = at::full({count, trace_rule_.kept(steps_per_epoch()), 2, model_->latent()},
                    std::numeric_limits<float>::quiet_NaN());
  for (auto& row : pack_.rows) set_budget(row, settings.train);
}

void Trainer::set_budget(Row& row, const TrainSettings& train) const {
  row.rate.total_steps = static_cast<double>(steps_of(train, steps_per_epoch()));
  if (train.steps > 0) row.last_step = train.steps;
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
  stragglers_ = {settings_.log.straggler, kStragglerSeconds};  // ranks have other numbers
  make_step();
}

at::Tensor Trainer::initial_weights() {
  const auto& layout = model_->layout();
  const auto count = static_cast<int64_t>(pack_.rows.size());
  const auto weights = at::zeros({count, layout.size()});
  if (settings_.model.output_bias == "data_mean") {
    output_bias_ = model_->output_bias_for(
        pixel_means(data_.train, request_of(settings_.data), *ranks_, team_));
  }
  team_.run(count, [&](int64_t k) {
    if (pack_.rows[k].active) initialise_row(weights.select(0, k), pack_.rows[k].seed);
  });
  return weights;
}

void Trainer::initialise_row(at::Tensor weights, uint64_t seed) const {
  const auto& layout = model_->layout();
  models::initialise(layout, models::initialisation_named(settings_.model.initialisation),
                     settings_.model.initial_std, seed, weights);
  if (output_bias_) layout.view(weights.unsqueeze(0), model_->output_bias()).copy_(*output_bias_);
}

int64_t steps_in_epoch(const TrainSettings& train, const Dataset& data) {
  return (data.train.examples() + train.batch_size - 1) / train.batch_size;
}

int64_t steps_of(const TrainSettings& train, int64_t steps_per_epoch) {
  return train.steps > 0 ? train.steps : train.epochs * steps_per_epoch;
}

int64_t Trainer::total_steps() const { return steps_of(settings_.train, steps_per_epoch()); }

// The ranks of a host may share the pack's memory, so nobody writes before all have come here, and
// nobody goes on before all have written.
void Trainer::put_row(int64_t k, const Settings& settings, const Snapshot* from,
                      const at::Tensor& first_weights) {
  Row row = row_of(settings, data_.observed());
  set_budget(row, settings.train);
  pack_.rows[k].active = false;
  const bool alone = std::ranges::none_of(pack_.rows, &Row::active);
  const int64_t batch = from != nullptr ? from->batch : 0;
  TORCH_CHECK(alone || batch == pack_.batch, "put_row: a row at batch ", batch,
              " cannot join a pack at batch ", pack_.batch);
  ranks_->barrier();
  pack_.rows[k] = row;
  if (alone) {
    pack_.batch = batch;
    epoch_seconds_ = from != nullptr ? from->epoch_seconds : 0;
  }
  if (from != nullptr) {
    take_row(k, from->rows.at(0));
  } else {
    auto weights = first_weights;
    if (!weights.defined()) {
      weights = at::zeros({model_->layout().size()});
      initialise_row(weights, row.seed);
    }
    pack_.parameters.select(0, k).copy_(weights);
    start_state(k);
    epoch_sums_.select(0, k).zero_();
  }
  trace_.select(0, k).fill_(std::numeric_limits<float>::quiet_NaN());
  ranks_->barrier();
}

void Trainer::start_state(int64_t k) {
  auto state = pack_.state.select(0, k);
  state.zero_();
  if (settings_.optimizer.kind == "adam")
    state.select(0, 1).fill_(settings_.optimizer.second_moment_start);
}

void Trainer::start_from(const std::vector<std::pair<std::string, at::Tensor>>& weights) {
  auto row = at::zeros({model_->layout().size()});
  model_->layout().from_named(weights, row);
  pack_.parameters.copy_(row.unsqueeze(0).expand_as(pack_.parameters));
}

at::Tensor Trainer::posterior_trace(int64_t row) const {
  const int64_t own = batch_of(row);  // fewer than the pack's where the row stopped before it
  return trace_.select(0, row).narrow(
      0, 0, own > 0 ? std::min(trace_rule_.kept(own), trace_steps_) : trace_steps_);
}

void Trainer::set_posterior_trace(int64_t row, const at::Tensor& done) {
  trace_.select(0, row).narrow(0, 0, done.size(0)).copy_(done);
  trace_steps_ = done.size(0);
}

RowSnapshot Trainer::snapshot_of(int64_t k) const {
  const auto copy = [](const at::Tensor& row) {
    return row.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  };
  const double* sums = epoch_sums_.const_data_ptr<double>() + k * kMetricSums;
  const Row& row = pack_.rows.at(k);
  return {.seed = row.seed,
          .beta = row.beta,
          .lr = row.lr,
          .rate_factor = row.rate_factor,
          .epoch = row.epoch,
          .step = row.step,
          .sums = {sums, sums + kMetricSums},
          .parameters = copy(pack_.parameters.select(0, k)),
          .state = copy(pack_.state.select(0, k))};
}

Snapshot Trainer::snapshot() const {
  Snapshot snapshot{.batch = pack_.batch, .epoch_seconds = epoch_seconds_};
  for (size_t k = 0; k < pack_.rows.size(); ++k)
    snapshot.rows.push_back(snapshot_of(static_cast<int64_t>(k)));
  return snapshot;
}

Snapshot Trainer::snapshot(int64_t row) const {
  return {.rows = {snapshot_of(row)}, .batch = batch_of(row), .epoch_seconds = epoch_seconds_};
}

void Trainer::adopt(const Snapshot& snapshot) {
  TORCH_CHECK(snapshot.rows.size() == pack_.rows.size(), "adopt: a snapshot of ",
              snapshot.rows.size(), " rows for a pack of ", pack_.rows.size());
  pack_.batch = snapshot.batch;
  epoch_seconds_ = snapshot.epoch_seconds;
  for (size_t k = 0; k < pack_.rows.size(); ++k)
    take_row(static_cast<int64_t>(k), snapshot.rows[k]);
}

void Trainer::take_row(int64_t k, const RowSnapshot& from) {
  auto& row = pack_.rows[k];
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

// Every rank, after the same steps.
void Trainer::watch_stragglers(const RowObservers& observers) {
  const auto active = std::ranges::find_if(pack_.rows, &Row::active);
  if (ranks_->size() == 1 || active == pack_.rows.end() || active->step % kStragglerSteps != 0)
    return;
  ranks_->at(active->step, "step times");
  const auto mine = step_->take_times();
  const auto own =
      at::tensor({mine.seconds, mine.examples, mine.median_s, mine.slow_s}, at::kDouble);
  const auto all = at::empty({ranks_->size(), 4}, at::kDouble);
  ranks_->all_gather(own.view({1, 4}), all, std::vector<int64_t>(ranks_->size(), 1));
  const auto watcher =
      std::ranges::find_if(observers.of_rows, [](auto* o) { return o != nullptr; });
  if (watcher == observers.of_rows.end()) return;
  std::vector<StepTimes> times;
  std::vector<std::string> hosts;
  for (int rank = 0; rank < ranks_->size(); ++rank) {
    const double* of_rank = all.const_data_ptr<double>() + int64_t{4} * rank;
    times.push_back({of_rank[0], of_rank[1], of_rank[2], of_rank[3]});
    hosts.push_back(ranks_->host(rank));
  }
  if (const auto sentence = stragglers_.look(times, hosts)) (*watcher)->on_note(*sentence);
}

bool Trainer::in_epoch() const {
  return pack_.batch < steps_per_epoch() && std::ranges::any_of(pack_.rows, &Row::steps);
}

EpochResult Trainer::run_epoch(const RowObservers& observers, const Interruption* interruption,
                               const std::function<void()>& after_step) {
  const auto start = Clock::now();
  const double seconds_before = epoch_seconds_;
  auto recent_sums = at::zeros_like(epoch_sums_);
  auto recent = start;
  EpochResult result;
  while (in_epoch()) {
    const auto step_sums = step_->run(interruption != nullptr && interruption->requested());
    for (auto* sums : {&epoch_sums_, &recent_sums}) {
      const auto* numbers = step_sums.const_data_ptr<double>();
      auto* total = sums->mutable_data_ptr<double>();
      std::transform(numbers, numbers + step_sums.numel(), total, total, std::plus());
    }
    epoch_seconds_ = seconds_before + seconds_since(start);
    trace_steps_ = trace_rule_.kept(pack_.batch);
    if (trace_rule_.keeps(pack_.batch - 1))
      trace_.select(1, trace_steps_ - 1).copy_(step_->posterior_of_first());
    ++steps_done_;
    const bool goes_on = end_of_step(result);
    if (steps_done_ % settings_.log.every_steps == 0 || !goes_on) {
      const Spell spell{.seconds = seconds_done_ + seconds_since(start),
                        .recent_seconds = seconds_since(recent)};
      for (size_t k = 0; k < observers.of_rows.size(); ++k)
        if (observers.of_rows[k] != nullptr && pack_.rows[k].active)
          observers.of_rows[k]->on_step(progress_of(static_cast<int64_t>(k), recent_sums, spell));
      recent = Clock::now();
      recent_sums.zero_();
    }
    watch_stragglers(observers);
    if (goes_on && stop_wanted(step_sums)) {
      seconds_done_ += seconds_since(start);
      result.interrupted = true;
      return result;
    }
    if (after_step && goes_on) after_step();
  }
  measure(result);
  end_epoch();
  seconds_done_ += seconds_since(start);
  return result;
}

// What has become of the rows; whether the epoch goes on. A row whose steps are over while others
// go on waits for the epoch's end to be measured.
bool Trainer::end_of_step(EpochResult& result) {
  for (const auto& error : step_->nonfinite()) result.nonfinite.push_back(error);
  const bool goes_on = in_epoch();
  for (size_t k = 0; goes_on && k < pack_.rows.size(); ++k) {
    const auto& row = pack_.rows[k];
    if (row.active && row.step == row.last_step && batch_of(static_cast<int64_t>(k)) == pack_.batch)
      step_->hold(static_cast<int64_t>(k));
  }
  return goes_on;
}

StepProgress Trainer::progress_of(int64_t k, const at::Tensor& recent_sums,
                                  const Spell& spell) const {
  const double* so_far = epoch_sums_.const_data_ptr<double>() + k * kMetricSums;
  const auto lately = metrics_of(recent_sums.const_data_ptr<double>() + k * kMetricSums);
  const auto& row = pack_.rows[k];
  return {.epoch = row.epoch + 1,
          .epochs = epochs(),
          .step_in_epoch = pack_.batch,
          .steps_per_epoch = steps_per_epoch(),
          .steps_done = steps_done_,
          .seconds = spell.seconds,
          .examples_per_s = static_cast<double>(lately.examples) / spell.recent_seconds,
          .loss = so_far[kLoss] / so_far[kExamples],
          .step = row.step,
          .recent_loss = lately.loss,
          .recent_recon_nats = lately.recon_nats,
          .recent_kl_nats = lately.kl_nats};
}

// Until all is measured the pack stands behind its last batch, so that this can be repeated.
void Trainer::measure(EpochResult& result) {
  const auto& held_out = data_.selection();
  const auto id = held_out.name == data_.test.name ? SplitId::kTest : SplitId::kValidation;
  result.train.resize(pack_.rows.size());
  result.held_out.resize(pack_.rows.size());
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    const auto& row = pack_.rows[i];
    if (!row.active) continue;
    auto& train = result.train[i];
    train = metrics_of(epoch_sums_.const_data_ptr<double>() + k * kMetricSums);
    train.split = data_.train.name;
    train.epoch = row.epoch + 1;
    train.step = row.step;
    train.seconds = epoch_seconds_;
    train.examples_per_s = static_cast<double>(train.examples) / epoch_seconds_;
    result.held_out[i] = evaluate_row(k, held_out, id);
    result.held_out[i].epoch = train.epoch;
  }
}

// A row that train.steps has ended within the epoch stays there.
void Trainer::end_epoch() {
  if (pack_.batch < steps_per_epoch()) return;
  for (size_t i = 0; i < pack_.rows.size(); ++i) {
    const auto k = static_cast<int64_t>(i);
    if (!pack_.rows[i].active || batch_of(k) < steps_per_epoch()) continue;
    ++pack_.rows[i].epoch;
    epoch_sums_.select(0, k).zero_();
  }
  pack_.batch = 0;
  epoch_seconds_ = 0;
}

}  // namespace elbow::trainer
