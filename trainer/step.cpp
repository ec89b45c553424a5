#include "trainer/step.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "models/forms.h"
#include "models/noise.h"
#include "models/permutation.h"
#include "models/schedule.h"
#include "trainer/evaluation.h"
#include "trainer/gradient_norm.h"
#include "trainer/seconds_since.h"

namespace elbow::trainer {
namespace {

// What follows a slice's metric sums: mu and sigma of the batch's first example from the slice that
// has it, zeros from the others, so that the sum takes them to all ranks.
void put_posterior_of_first(const models::ExampleTerms& terms, bool has_first, int64_t latent,
                            double* out) {
  std::fill_n(out, 2 * latent, 0.0);
  if (!has_first) return;
  for (const auto* values : {&terms.posterior_mean, &terms.posterior_scale}) {
    const auto first = values->select(1, 0).to(at::kCPU, at::kFloat).contiguous();
    out = std::copy_n(first.const_data_ptr<float>(), latent, out);
  }
}

}  // namespace

struct Step::Slot {
  Range positions{0, 0};           // within the epoch
  std::vector<int64_t> indices;    // within the split
  std::vector<int64_t> examples;   // global
  at::Tensor x, noise, condition;  // on the host: memory for any slice, or for all
  models::Batch batch;             // what is used of them, on the device
  models::ExampleTerms terms;
  std::vector<models::BoundParameters> parameters;  // one a row, for each copy of the pack

  // Room for `rows` slices of so many examples.
  models::Batch room(int64_t rows, int64_t examples, int64_t samples,
                     models::LogRatio log_ratio) const {
    const auto part = [rows](const at::Tensor& memory, int64_t count) {
      return memory.defined()
                 ? memory.narrow(0, 0, rows * count).view({rows, count, memory.size(1)})
                 : memory;
    };
    return {part(x, examples), part(noise, examples * samples), log_ratio,
            part(condition, examples)};
  }
};

Step::Step(StepParts parts, Pack& pack, comm::Communicator& ranks, ThreadTeam& team)
    : parts_(parts), pack_(pack), ranks_(ranks), team_(team) {
  const auto& layout = parts_.model.layout();
  const SumShape shape{
      .rows = 1,
      .parameters = layout.size(),
      .numbers = std::max(kMetricSums + 2 * parts_.model.latent(), parts_.objective.statistics()),
      .device = pack.parameters.device()};
  gradient_sum_ = make_gradient_sum(ranks, team, shape, parts_.leaves);
  if (gradient_sum_->shares_columns()) copies_ = PackCopies::make_shared(pack, ranks);
  together_ = copies_ != nullptr;
  gated_ = !models::fused(pack.parameters);
  // On the CPU a row is updated after its sum was seen whole. Rows before it must not be seen to
  // have gone on where a peer is lost in between.
  if (gated_ || (!together_ && pack.rows.size() > 1 && ranks.size() > 1))
    copies_ = PackCopies::make(pack);
  if (parts_.model.precision() == models::Precision::kBfloat16)
    rounded_ = at::empty_like(pack.parameters, at::kBFloat16);
  posterior_of_first_ =
      at::zeros({static_cast<int64_t>(pack.rows.size()), 2, parts_.model.latent()});
  // A shorter batch may cut differently.
  int64_t largest = 0;
  for (int64_t i = 0; i < gradient_sum_->slices(); ++i)
    largest = std::max(largest, gradient_sum_->slice(i, parts_.batch_size).size() + 1);
  for (int64_t i = 0; i < gradient_sum_->slices(); ++i)
    slots_.push_back(make_slot(1, largest, gradient_sum_->place(i).gradient));
  const auto subtree = gradient_sum_->subtree();
  const bool plain = parts_.objective.statistics() == 0 && parts_.objective.samples() == 1;
  if (plain && team.size() == 1 && std::ssize(slots_) > 1 && subtree.defined())
    all_slots_ = std::make_unique<Slot>(make_slot(std::ssize(slots_), largest, subtree));
}

// rows: slices, of up to `largest` examples each. gradient: [1, P].
Step::Slot Step::make_slot(int64_t rows, int64_t largest, const at::Tensor& gradient) const {
  Slot slot;
  const bool leaves = parts_.leaves > 0 && models::fused(pack_.parameters);
  slot.x = at::empty({rows * largest, parts_.model.observed()});
  slot.noise = at::empty({rows * largest * parts_.objective.samples(), parts_.model.latent()});
  if (parts_.condition != nullptr)
    slot.condition = at::empty({rows * largest, parts_.condition->width});
  for (int copy = 0; copy < (copies_ ? 2 : 1); ++copy) {
    for (size_t row = 0; row < pack_.rows.size(); ++row) {
      const auto of_row = [&](const at::Tensor& flat) {
        return flat.defined() ? flat.narrow(0, static_cast<int64_t>(row), 1).expand({rows, -1})
                              : flat;
      };
      slot.parameters.emplace_back(
          parts_.model.layout(), of_row(copies_ ? copies_->parameters(copy) : pack_.parameters),
          gradient, of_row(rounded_), leaves ? models::Rows::kLeaves : models::Rows::kTrials);
    }
  }
  return slot;
}

Step::~Step() = default;

int64_t Step::batches_per_epoch() const {
  return (parts_.data.examples() + parts_.batch_size - 1) / parts_.batch_size;
}

at::Tensor Step::run(bool stop_vote) {
  stop_vote_ = stop_vote;
  const int64_t examples = parts_.data.examples();
  const Range batch{pack_.batch * parts_.batch_size,
                    std::min((pack_.batch + 1) * parts_.batch_size, examples)};
  auto result = at::zeros({static_cast<int64_t>(pack_.rows.size()), kMetricSums}, at::kDouble);
  own_seconds_ = 0;
  nonfinite_.clear();
  int64_t own_examples = 0;
  for (int64_t k = 0; k < result.size(0); ++k) {
    if (!pack_.rows[k].steps()) continue;
    make_row(k, batch, result);
    for (const auto& slot : slots_) own_examples += slot.positions.size();
  }
  if (gated_) require_applied(batch, result);
  for (const auto& error : nonfinite_) hold(error.row());
  for (const auto& error : nonfinite_) pack_.rows[error.row()].active = false;
  if (copies_) copies_->flip();
  clock_.add(own_seconds_, own_examples);
  for (auto& row : pack_.rows)
    if (row.steps()) ++row.step;
  ++pack_.batch;
  return result;
}

void Step::make_row(int64_t k, const Range& batch, at::Tensor& result) {
  const auto& row = pack_.rows[k];
  ranks_.at(row.step, "gradient sum");
  if (parts_.data.source) prefetch_next_batch(row);
  if (rounded_.defined()) round_parameters(k);
  differentiate(k, batch);
  double* sums = result.mutable_data_ptr<double>() + k * kMetricSums;
  if (together_ ? updated_together(k, sums) : updated_here(k, sums)) {
    sums[kLoss] *= sums[kExamples];
  } else {
    fail(k, batch, result);
  }
}

// The row is not finite: a pack of one ends with it, a larger one goes on without.
void Step::fail(int64_t k, const Range& batch, at::Tensor& result) {
  nonfinite_.push_back(blame(k, batch));
  if (pack_.rows.size() == 1) throw nonfinite_.back();
  double* sums = result.mutable_data_ptr<double>() + k * kMetricSums;
  const double votes = sums[kStopVotes];
  std::fill_n(sums, static_cast<int64_t>(kMetricSums), 0.0);
  sums[kStopVotes] = votes;
}

// The copies of a pack change places at each step.
void Step::hold(int64_t k) {
  if (!copies_) return;
  if (together_) ranks_.barrier();
  copies_->keep_row(k);
  if (together_) ranks_.barrier();
}

UpdateRates Step::rates_of(const Row& row) const {
  return {.lr = row.rate_factor * models::learning_rate(row.lr, row.rate, row.epoch, row.step),
          .l2 = row.l2,
          .step = row.step};
}

// Metric sums to `sums`, and what follows them to its place.
void Step::take_sums(int64_t k, const at::Tensor& summed, double* sums) {
  const auto* from = summed.const_data_ptr<double>();
  const int64_t numbers = 2 * parts_.model.latent();
  std::copy_n(from, static_cast<int64_t>(kMetricSums), sums);
  std::copy_n(from + kMetricSums, numbers,
              posterior_of_first_.mutable_data_ptr<float>() + k * numbers);
}

std::span<const Step::Slot> Step::slots_in_use() const {
  if (went_together_) return {all_slots_.get(), 1};
  return slots_;
}

// A row's summed gradient, [1, P]. A weight's is not looked at where the backward passes know that
// it is small; ranks do not know that of each other.
bool Step::is_finite(int64_t k, const at::Tensor& gradient) {
  if (ranks_.size() > 1) return all_finite(gradient, team_);
  constexpr float kSmall = 1e30f;
  const float* numbers = gradient.const_data_ptr<float>();
  const auto& parameters = parts_.model.layout().parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    float bound = 0;
    for (const auto& slot : slots_in_use()) {
      if (slot.batch.x.size(1) == 0) continue;
      bound += static_cast<float>(slot.batch.x.size(0)) *
               parameters_of(slot, k).bounds().const_data_ptr<float>()[i];
    }
    if (bound < kSmall) continue;
    if (!all_finite(numbers + parameters[i].offset, parameters[i].count(), team_)) return false;
  }
  return true;
}

// Both return false, and the row stays as it was, where its loss or gradient is not finite. (On a
// device the gradient is looked at later.)
bool Step::updated_here(int64_t k, double* sums) {
  const auto& row = pack_.rows[k];
  const auto& layout = parts_.model.layout();
  const auto& sum = gradient_sum_->add(went_together_);
  take_sums(k, sum.sums, sums);
  const auto parameters = pack_.parameters.select(0, k);
  if (row.l2 != 0) sums[kLoss] += row.l2 * sum_of_squared_weights(layout, parameters, team_);
  if (!std::isfinite(sums[kLoss])) return false;
  if (!gated_ && !is_finite(k, sum.gradient)) return false;
  auto rates = rates_of(row);
  const auto gradient = sum.gradient.select(0, 0);
  rates.gradient_scale = clipping_scale(gradient, row.clip_norm, team_);
  const auto update = [&](const at::Tensor& weights, const at::Tensor& state) {
    parts_.optimizer.update(layout, rates, gradient, weights, state, team_);
  };
  if (!copies_) {
    update(parameters, pack_.state.select(0, k));
  } else {
    copies_->write_row(k, gated_ ? update_gate(gradient, ranks_.abort_word()) : at::Tensor(),
                       update);
  }
  return true;
}

// On a device: whether the updates were made, which the host did not wait for. A sum that was cut
// short because a peer is gone is told by the next operation.
void Step::require_applied(const Range& batch, at::Tensor& result) {
  const auto behind = copies_->rows_behind();
  if (behind.empty()) return;
  const auto aborted = ranks_.abort_word();
  if (aborted.defined() && aborted.item<int>() != 0) ranks_.barrier();
  for (const int64_t row : behind) fail(row, batch, result);
}

bool Step::updated_together(int64_t k, double* sums) {
  const auto& row = pack_.rows[k];
  const auto& layout = parts_.model.layout();
  auto rates = rates_of(row);
  // The norm needs the whole sum before any of it is used; the slices are still there afterwards.
  if (row.clip_norm != 0)
    rates.gradient_scale = clipping_scale(gradient_sum_->add(went_together_).gradient.select(0, 0),
                                          row.clip_norm, team_);
  const auto place = [&](int copy) {
    return Optimizer::Place{copies_->parameters(copy).select(0, k).mutable_data_ptr<float>(),
                            copies_->state(copy).select(0, k).mutable_data_ptr<float>()};
  };
  const auto from = place(copies_->current()), to = place(1 - copies_->current());
  const auto sum = gradient_sum_->add_columns(
      [&](const Range& columns, const float* gradient) {
        parts_.optimizer.update_columns(layout, rates, columns, gradient, from, to);
        return all_finite(gradient, columns.size());
      },
      went_together_);
  take_sums(k, sum.sums, sums);
  if (row.l2 != 0)
    sums[kLoss] += row.l2 * sum_of_squared_weights(layout, pack_.parameters.select(0, k), team_);
  return sum.good && std::isfinite(sums[kLoss]);
}

// Runs this rank's slices forward and backward, into the places of the gradient sum.
void Step::differentiate(int64_t row, const Range& batch) {
  went_together_ = goes_together(batch);
  if (went_together_) return differentiate_together(row, batch);
  const int64_t slices = static_cast<int64_t>(slots_.size());
  const int64_t statistics = parts_.objective.statistics();
  if (statistics == 0) {
    run_slices([&](int64_t slice) {
      gather_slice(row, batch, slice);
      forward(row, slots_[slice]);
      backward(row, slots_[slice], slice, {}, batch.size());
    });
    return;
  }
  // The objective needs sums over the whole batch before any slice can run backward. A slice's
  // graph is built and run by the same member of the team, because both calls share the slices out
  // alike.
  std::vector<at::Tensor> local(slices);
  run_slices([&](int64_t slice) {
    gather_slice(row, batch, slice);
    forward(row, slots_[slice]);
    at::NoGradGuard no_gradient;
    local[slice] = slots_[slice].positions.size() > 0
                       ? parts_.objective.leaf_statistics(slots_[slice].terms).cpu()
                       : at::zeros({1, statistics}, at::kDouble);
  });
  const auto sums = gradient_sum_->add_statistics(local).to(pack_.parameters.device());
  run_slices([&](int64_t slice) { backward(row, slots_[slice], slice, sums, batch.size()); });
}

// Whether all slices of this rank are of one size, so that they can be the rows of a stack.
bool Step::goes_together(const Range& batch) const {
  if (!all_slots_) return false;
  const int64_t first = gradient_sum_->slice(0, batch.size()).size();
  for (int64_t i = 1; i < std::ssize(slots_); ++i)
    if (gradient_sum_->slice(i, batch.size()).size() != first) return false;
  return first > 0;
}

// The same bits as slice by slice, and faster: products with the weights run over all slices at
// once.
void Step::differentiate_together(int64_t k, const Range& batch) {
  const auto start = std::chrono::steady_clock::now();
  auto& all = *all_slots_;
  const int64_t slices = std::ssize(slots_);
  all.batch = all.room(slices, gradient_sum_->slice(0, batch.size()).size(), /*samples=*/1,
                       parts_.objective.log_ratio());
  const auto of_slice = [](const at::Tensor& rows, int64_t slice) {
    return rows.defined() ? rows.narrow(0, slice, 1) : rows;
  };
  for (int64_t i = 0; i < slices; ++i) {
    gather_slice(k, batch, i,
                 {of_slice(all.batch.x, i), of_slice(all.batch.noise, i), all.batch.log_ratio,
                  of_slice(all.batch.condition, i)});
  }
  forward(k, all);
  backward(k, all, /*first=*/0, /*statistics=*/{}, batch.size());
  own_seconds_ += seconds_since(start);
}

// On the team, and on the clock.
void Step::run_slices(const std::function<void(int64_t slice)>& work) {
  const auto start = std::chrono::steady_clock::now();
  team_.run(static_cast<int64_t>(slots_.size()), work);
  own_seconds_ += seconds_since(start);
}

const models::BoundParameters& Step::parameters_of(const Slot& slot, int64_t row) const {
  const auto rows = static_cast<int64_t>(pack_.rows.size());
  return slot.parameters[(copies_ ? copies_->current() * rows : 0) + row];
}

void Step::round_parameters(int64_t row) {
  const auto from = pack_.parameters.select(0, row);
  auto to = rounded_.select(0, row);
  team_.run(team_.size(), [&](int64_t member) {
    const auto share = part_of(from.size(0), team_.size(), member);
    models::round(from.narrow(0, share.begin, share.size()),
                  to.narrow(0, share.begin, share.size()));
  });
}

// The batch after the pack's present one, which may be the first of the next epoch.
void Step::prefetch_next_batch(const Row& row) {
  const int64_t examples = parts_.data.examples();
  const bool wraps = pack_.batch + 1 == batches_per_epoch();
  const int64_t begin = wraps ? 0 : (pack_.batch + 1) * parts_.batch_size;
  const int64_t end = std::min(begin + parts_.batch_size, examples);
  const auto epoch = static_cast<uint32_t>(row.epoch + (wraps ? 1 : 0));
  const models::Permutation order(row.seed, epoch, static_cast<uint64_t>(examples));
  std::vector<int64_t> indices;
  for (int64_t slice = 0; slice < gradient_sum_->slices(); ++slice) {
    const auto within = gradient_sum_->slice(slice, end - begin);
    indices.clear();
    for (int64_t position = begin + within.begin; position < begin + within.end; ++position) {
      indices.push_back(
          parts_.shuffle ? static_cast<int64_t>(order(static_cast<uint64_t>(position))) : position);
    }
    parts_.data.source->prefetch(indices);
  }
}

void Step::gather_slice(int64_t k, const Range& batch, int64_t slice) {
  auto& slot = slots_[slice];
  const auto room = slot.room(1, gradient_sum_->slice(slice, batch.size()).size(),
                              parts_.objective.samples(), parts_.objective.log_ratio());
  gather_slice(k, batch, slice, room);
  slot.batch = on_device(room, pack_.parameters.device());
}

// out: of one row, for the slice.
void Step::gather_slice(int64_t k, const Range& batch, int64_t slice, const models::Batch& out) {
  auto& slot = slots_[slice];
  const auto& row = pack_.rows[k];
  const auto within = gradient_sum_->slice(slice, batch.size());
  slot.positions = {batch.begin + within.begin, batch.begin + within.end};
  slot.indices.clear();
  slot.examples.clear();
  const models::Permutation order(row.seed, static_cast<uint32_t>(row.epoch),
                                  static_cast<uint64_t>(parts_.data.examples()));
  for (int64_t position = slot.positions.begin; position < slot.positions.end; ++position) {
    const int64_t index =
        parts_.shuffle ? static_cast<int64_t>(order(static_cast<uint64_t>(position))) : position;
    slot.indices.push_back(index);
    slot.examples.push_back(parts_.data.first_index + index);
  }
  auto request = parts_.request;
  request.seed = row.seed;
  request.time = static_cast<uint32_t>(row.step);
  request.first_index = static_cast<uint32_t>(parts_.data.first_index);
  const auto x = out.x.select(0, 0);
  if (parts_.condition != nullptr) {
    gather_pair(parts_.data, slot.indices, request, *parts_.condition, x,
                out.condition.select(0, 0));
  } else {
    gather(parts_.data, slot.indices, request, x);
  }
  models::fill_normal({row.seed, models::Purpose::kTrainingNoise, static_cast<uint32_t>(row.step)},
                      slot.examples, out.noise, parts_.objective.samples());
}

bool Step::knows_gradient() const {
  return parts_.model.knows_gradient() && parts_.objective.is_linear();
}

void Step::forward(int64_t row, Slot& slot) {
  if (slot.batch.x.size(1) == 0 || knows_gradient()) return;
  at::AutoGradMode recorded(true);
  slot.terms = parts_.model.terms(parameters_of(slot, row), slot.batch);
}

// first: the slice that the slot's first row is.
void Step::backward(int64_t k, Slot& slot, int64_t first, const at::Tensor& statistics,
                    int64_t batch_size) {
  const int64_t rows = slot.batch.x.size(0);
  const bool empty = slot.batch.x.size(1) == 0;
  const auto sums = at::empty({rows, kMetricSums}, at::kDouble);
  at::Tensor losses;  // [rows], on the host
  if (!empty) {
    auto context = context_of(loss_weights(pack_.rows[k], parts_.scale), batch_size,
                              pack_.parameters.device());
    context.statistics = statistics;
    if (knows_gradient()) {
      const auto loss = parts_.objective.linear_loss(context);
      slot.terms =
          parts_.model.differentiate(parameters_of(slot, k), slot.batch, loss, [&](int64_t column) {
            gradient_sum_->written_from({first, first + rows}, column);
          });
      losses = loss.of(slot.terms);
    } else {
      at::AutoGradMode recorded(true);
      slot.terms = parts_.objective.settled(slot.terms, context);
      losses = parts_.objective.leaf_loss(slot.terms, context);
      torch::autograd::backward({losses}, {at::ones_like(losses)});
    }
    losses = losses.cpu();
    sum_terms(slot.terms, sums);
  }
  for (int64_t i = 0; i < rows; ++i) {
    auto& place = gradient_sum_->place(first + i);
    double* to = place.sums.mutable_data_ptr<double>();
    if (empty) {
      place.gradient.zero_();
      place.sums.zero_();
    } else {
      const int64_t begin = slots_[first + i].positions.begin;
      std::copy_n(sums.const_data_ptr<double>() + i * kMetricSums, int64_t{kMetricSums}, to);
      put_posterior_of_first(slot.terms, i == 0 && begin == pack_.batch * parts_.batch_size,
                             parts_.model.latent(), to + kMetricSums);
      to[kLoss] = losses.const_data_ptr<double>()[i];
    }
    to[kStopVotes] = first + i == 0 && stop_vote_ ? 1.0 : 0.0;
  }
  slot.terms = {};
}

// Not on the way of a healthy step: runs this rank's slices forward again, with the weights that
// the step began with, to find which term of which example is to blame.
NonFinite Step::blame(int64_t k, const Range& batch) {
  const auto& row = pack_.rows[k];
  const int64_t nobody = std::numeric_limits<int64_t>::max();
  // The first bad position of the epoch for each term, negated, so that a maximum over ranks finds
  // the smallest.
  auto first = at::full({2}, -nobody, at::kLong);
  auto* bad = first.mutable_data_ptr<int64_t>();
  for (int64_t slice = 0; slice < static_cast<int64_t>(slots_.size()); ++slice) {
    auto& slot = slots_[slice];
    gather_slice(k, batch, slice);
    if (slot.positions.size() == 0) continue;
    at::NoGradGuard no_gradient;
    const auto terms = parts_.model.terms(parameters_of(slot, k), slot.batch);
    const auto reconstruction = terms.reconstruction.view({slot.positions.size(), -1}).sum(1).cpu();
    const auto kl = terms.kl.select(0, 0).sum(1).cpu();
    for (int64_t i = 0; i < slot.positions.size(); ++i) {
      const int64_t position = slot.positions.begin + i;
      if (!std::isfinite(reconstruction[i].item<double>())) bad[0] = std::max(bad[0], -position);
      if (!std::isfinite(kl[i].item<double>())) bad[1] = std::max(bad[1], -position);
    }
  }
  ranks_.all_reduce_max(first);
  const int64_t reconstruction = -bad[0], kl = -bad[1];
  std::string what = "gradient of row";
  std::string where = "every example's reconstruction and KL are finite";
  if (reconstruction != nobody || kl != nobody) {
    const int64_t position = std::min(reconstruction, kl);
    const models::Permutation order(row.seed, static_cast<uint32_t>(row.epoch),
                                    static_cast<uint64_t>(parts_.data.examples()));
    const int64_t index =
        parts_.shuffle ? static_cast<int64_t>(order(static_cast<uint64_t>(position))) : position;
    what = kl <= reconstruction ? "KL of row" : "reconstruction of row";
    where = fmt::format("the epoch's first bad example is {} of split '{}', at position {}", index,
                        parts_.data.name, position);
  }
  return NonFinite(
      k, fmt::format("the {} {} is not finite at step {} (epoch {}): {}; the weights are those "
                     "before this step. Lower "
                     "optimizer.lr, or look at objective.beta and the last lines of metrics.jsonl",
                     what, k, row.step + 1, row.epoch + 1, where));
}

}  // namespace elbow::trainer
