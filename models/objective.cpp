#include "models/objective.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "models/forms.h"
#include "models/importance.h"
#include "models/likelihood.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Sum of each row's numbers: [rows], float64.
at::Tensor sums_of_rows(const at::Tensor& values) {
  if (!fused(values)) return values.flatten(1).sum(1, /*keepdim=*/false, at::kDouble);
  const auto numbers = values.contiguous();
  const int64_t rows = values.size(0), count = values.numel() / std::max<int64_t>(rows, 1);
  auto sums = at::empty({rows}, values.options().dtype(at::kDouble));
  AT_DISPATCH_FLOATING_TYPES(values.scalar_type(), "sums_of_rows", [&] {
    const auto* from = numbers.const_data_ptr<scalar_t>();
    for (int64_t row = 0; row < rows; ++row, from += count)
      sums.mutable_data_ptr<double>()[row] = std::accumulate(from, from + count, 0.0);
  });
  return sums;
}

}  // namespace

at::Tensor LinearLoss::of(const ExampleTerms& terms) const {
  return reconstruction * sums_of_rows(terms.reconstruction) + kl * sums_of_rows(terms.kl);
}

// A tensor like `values`, with one number a row.
at::Tensor filled_rows(const at::Tensor& values, const at::Tensor& number_of_row) {
  if (!fused(values)) {
    std::vector<int64_t> shape(values.dim(), 1);
    shape[0] = number_of_row.size(0);
    return number_of_row.to(values.scalar_type()).view(shape).expand_as(values);
  }
  auto out = at::empty_like(values, at::MemoryFormat::Contiguous);
  const int64_t rows = values.size(0), count = values.numel() / std::max<int64_t>(rows, 1);
  const auto numbers = number_of_row.expand({rows});
  AT_DISPATCH_FLOATING_TYPES(values.scalar_type(), "filled_rows", [&] {
    for (int64_t row = 0; row < rows; ++row) {
      std::fill_n(out.mutable_data_ptr<scalar_t>() + row * count, count,
                  static_cast<scalar_t>(numbers.const_data_ptr<double>()[row * numbers.stride(0)]));
    }
  });
  return out;
}

namespace {

// One node, because its gradients are constants.
struct LinearLossFunction : torch::autograd::Function<LinearLossFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& reconstruction,
                            const at::Tensor& kl, const LinearLoss& loss) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    context->saved_data["reconstruction_weight"] = loss.reconstruction;
    context->saved_data["kl_weight"] = loss.kl;
    context->saved_data["reconstruction"] = reconstruction.detach();  // for its shape and type only
    context->saved_data["kl"] = kl.detach();                          // likewise
    return loss.of({.reconstruction = reconstruction, .kl = kl});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto slope = [&](const char* values, const char* weight) {
      return filled_rows(context->saved_data[values].toTensor(),
                         context->saved_data[weight].toTensor() * gradients[0]);
    };
    return {slope("reconstruction", "reconstruction_weight"), slope("kl", "kl_weight"), {}};
  }
};

// Sum of each group of latents over the batch: [rows, groups], float64.
at::Tensor kl_of_groups(const at::Tensor& kl, int64_t groups) {
  return kl.sum(1, /*keepdim=*/false, at::kDouble).view({kl.size(0), groups, -1}).sum(2);
}

// sum_i |KL_i - C|: [rows], float64.
at::Tensor distance_from_capacity(const at::Tensor& kl, const at::Tensor& capacity) {
  return (kl.sum(2, /*keepdim=*/false, at::kDouble) - capacity.unsqueeze(1)).abs().sum(1);
}

// sum_ij (1 - sigma_ij)^4: [rows], float64.
at::Tensor sigma_penalty(const at::Tensor& sigma) {
  const auto square = (1 - sigma.to(at::kDouble)).square();
  return square.square().sum(at::IntArrayRef{1, 2});
}

class ComposedObjective : public Objective {
 public:
  explicit ComposedObjective(const ObjectiveShape& shape) : shape_(shape) {}

  int64_t samples() const override { return shape_.samples; }

  LogRatio log_ratio() const override {
    if (shape_.bound == Bound::kElbo) return LogRatio::kNone;
    return shape_.bound == Bound::kIwae ? LogRatio::kTotal : LogRatio::kPathwise;
  }

  // The groups' KL, then the half squared errors.
  int64_t statistics() const override { return kl_groups() + (pooled() ? 1 : 0); }

  at::Tensor leaf_statistics(const ExampleTerms& terms) const override {
    std::vector<at::Tensor> columns;
    if (kl_groups() > 0) columns.push_back(kl_of_groups(terms.kl.detach(), kl_groups()));
    if (pooled()) {
      const auto sum = terms.reconstruction.detach().sum(1, /*keepdim=*/true, at::kDouble);
      columns.push_back(sum / static_cast<double>(shape_.samples));
    }
    return columns.empty() ? Objective::leaf_statistics(terms) : at::cat(columns, 1);
  }

  // sigma^2 of the pooled Gaussian is the mean squared error, so that the nats of examples follow
  // from their own errors; as the best sigma it counts as a constant in the gradient.
  ExampleTerms settled(const ExampleTerms& terms, const ObjectiveContext& context) const override {
    if (!pooled()) return terms;
    const double pixels =
        static_cast<double>(context.batch_size) * static_cast<double>(shape_.pooled_pixels);
    const auto log_sigma =
        0.5 * (context.statistics.narrow(1, kl_groups(), 1) * (2.0 / pixels)).log();
    auto out = terms;
    out.reconstruction =
        gaussian_nats_of(terms.reconstruction, log_sigma.to(terms.reconstruction.scalar_type()),
                         shape_.pooled_pixels);
    return out;
  }

  at::Tensor leaf_loss(const ExampleTerms& terms, const ObjectiveContext& context) const override {
    const auto per_example = context.scale / static_cast<double>(context.batch_size);
    auto loss = shape_.bound == Bound::kElbo ? elbo_loss(terms, context, per_example)
                                             : importance_loss(terms, context, per_example);
    if (context.sigma_weight.defined()) {
      loss = loss + per_example * context.sigma_weight * sigma_penalty(terms.posterior_scale);
    }
    return loss;
  }

  bool is_linear() const override {
    return shape_.bound == Bound::kElbo && shape_.kl == KlForm::kPlain && !pooled() &&
           !shape_.sigma_penalty;
  }

  LinearLoss linear_loss(const ObjectiveContext& context) const override {
    return linear_part(context, context.scale / static_cast<double>(context.batch_size));
  }

  // The bound, the distance from the capacity and the penalty, then the statistics.
  int64_t split_sums() const override { return is_linear() ? 0 : kOwnSums + statistics(); }

  at::Tensor leaf_split_sums(const ExampleTerms& terms,
                             const ObjectiveContext& context) const override {
    if (split_sums() == 0) return Objective::leaf_split_sums(terms, context);
    const auto zero = at::zeros_like(context.kl_weight);
    const auto bound =
        shape_.bound == Bound::kElbo
            ? zero
            : importance_weighted(terms.reconstruction, terms.log_ratio, context.kl_weight,
                                  shape_.samples, /*squared=*/false)
                  .loss;
    const auto distance = shape_.kl == KlForm::kExampleCapacity
                              ? distance_from_capacity(terms.kl, context.capacity)
                              : zero;
    const auto penalty = shape_.sigma_penalty ? sigma_penalty(terms.posterior_scale) : zero;
    return at::cat({at::stack({bound, distance, penalty}, 1), leaf_statistics(terms)}, 1);
  }

  double split_loss(const SplitSums& sums, const LossWeights& weights) const override {
    if (split_sums() == 0) return Objective::split_loss(sums, weights);
    double loss = sums.own[kBoundSum];
    if (shape_.bound == Bound::kElbo)
      loss = split_reconstruction(sums) + weights.kl_weight * split_kl(sums, weights);
    return weights.scale * (loss + weights.sigma_weight * sums.own[kPenaltySum]);
  }

  double split_reconstruction(const SplitSums& sums) const override {
    if (!pooled()) return sums.reconstruction;
    const double squares = 2 * sums.own[kOwnSums + kl_groups()];
    const double pixels = sums.examples * static_cast<double>(shape_.pooled_pixels);
    return 0.5 * pixels * (std::log(squares / pixels) + 1 + kLogTwoPi);
  }

 private:
  enum { kBoundSum, kDistanceSum, kPenaltySum, kOwnSums };
  static constexpr double kLogTwoPi = 1.83787706640934548356;

  bool pooled() const { return shape_.pooled_pixels > 0; }

  int64_t kl_groups() const {
    if (shape_.kl == KlForm::kFreeBits) return shape_.groups;
    return shape_.kl == KlForm::kBatchCapacity ? 1 : 0;
  }

  LinearLoss linear_part(const ObjectiveContext& context, const at::Tensor& per_example) const {
    return {per_example / static_cast<double>(shape_.samples), per_example * context.kl_weight};
  }

  at::Tensor elbo_loss(const ExampleTerms& terms, const ObjectiveContext& context,
                       const at::Tensor& per_example) const {
    const auto weights = linear_part(context, per_example);
    const auto& kl_weight = weights.kl;
    if (shape_.kl == KlForm::kPlain)
      return LinearLossFunction::apply(terms.reconstruction, terms.kl, weights);
    const auto reconstruction =
        weights.reconstruction * terms.reconstruction.sum(1, /*keepdim=*/false, at::kDouble);
    if (shape_.kl == KlForm::kExampleCapacity)
      return reconstruction + kl_weight * distance_from_capacity(terms.kl, context.capacity);
    return reconstruction + kl_weight * pooled_kl(terms.kl, context);
  }

  // A function of the groups' mean KL, linear once it is known on which side of its bend each
  // group lies; a leaf has its share of the constant part.
  at::Tensor pooled_kl(const at::Tensor& kl, const ObjectiveContext& context) const {
    const auto mean =
        context.statistics.narrow(1, 0, kl_groups()) / static_cast<double>(context.batch_size);
    const auto sums = kl_of_groups(kl, kl_groups());
    const auto examples = static_cast<double>(kl.size(1));
    if (shape_.kl == KlForm::kBatchCapacity) {
      const auto side = (mean - context.capacity.unsqueeze(1)).sign();
      return (side * (sums - examples * context.capacity.unsqueeze(1))).sum(1);
    }
    const auto free_bits = context.free_bits.unsqueeze(1).expand_as(mean);
    return at::where(mean > free_bits, sums, examples * free_bits).sum(1);
  }

  double split_kl(const SplitSums& sums, const LossWeights& weights) const {
    const double n = sums.examples;
    if (shape_.kl == KlForm::kExampleCapacity) return sums.own[kDistanceSum];
    if (shape_.kl == KlForm::kBatchCapacity)
      return std::abs(sums.own[kOwnSums] - n * weights.capacity);
    if (shape_.kl == KlForm::kPlain) return sums.kl;
    double kl = 0;
    for (int64_t g = 0; g < kl_groups(); ++g)
      kl += std::max(sums.own[kOwnSums + g], n * weights.free_bits);
    return kl;
  }

  at::Tensor importance_loss(const ExampleTerms& terms, const ObjectiveContext& context,
                             const at::Tensor& per_example) const {
    const bool doubly = shape_.bound == Bound::kDreg;
    const auto out = importance_weighted(terms.reconstruction, terms.log_ratio, context.kl_weight,
                                         shape_.samples, /*squared=*/doubly);
    // The decoder takes the weights; what goes on through its input to the encoder, their squares.
    if (doubly && terms.z.requires_grad()) {
      terms.z.register_hook([weights = out.weights](const at::Tensor& gradient) {
        return gradient * weights.unsqueeze(2);
      });
    }
    return per_example * out.loss;
  }

  ObjectiveShape shape_;
};

at::Tensor no_columns(const ExampleTerms& terms) {
  return at::zeros({terms.reconstruction.size(0), 0},
                   terms.reconstruction.options().dtype(at::kDouble));
}

}  // namespace

at::Tensor Objective::leaf_statistics(const ExampleTerms& terms) const { return no_columns(terms); }

ExampleTerms Objective::settled(const ExampleTerms& terms, const ObjectiveContext&) const {
  return terms;
}

at::Tensor Objective::leaf_split_sums(const ExampleTerms& terms, const ObjectiveContext&) const {
  return no_columns(terms);
}

LinearLoss Objective::linear_loss(const ObjectiveContext&) const {
  throw std::logic_error("linear_loss: not a linear objective");
}

double Objective::split_loss(const SplitSums& sums, const LossWeights& weights) const {
  return weights.scale * (sums.reconstruction + weights.kl_weight * sums.kl);
}

std::unique_ptr<Objective> make_objective(const ObjectiveShape& shape) {
  return std::make_unique<ComposedObjective>(shape);
}

std::unique_ptr<Objective> make_elbo() { return make_objective({}); }

}  // namespace elbow::models
