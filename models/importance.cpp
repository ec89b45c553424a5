#include "models/importance.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "models/forms.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One row, in float64, the samples in their order. Returns -sum_i log mean_s w_is.
template <class Scalar>
double weigh_row(const Scalar* reconstruction, const Scalar* log_ratio, double kl_weight,
                 Scalar* weights, int64_t examples, int64_t samples) {
  double loss = 0;
  std::vector<double> share(samples);
  for (int64_t i = 0; i < examples; ++i) {
    double largest = -std::numeric_limits<double>::infinity();
    for (int64_t s = 0; s < samples; ++s) {
      const int64_t at = i * samples + s;
      share[s] = -(static_cast<double>(reconstruction[at]) + kl_weight * log_ratio[at]);
      largest = std::max(largest, share[s]);
    }
    double sum = 0;
    for (auto& w : share) sum += w = std::exp(w - largest);
    for (int64_t s = 0; s < samples; ++s)
      weights[i * samples + s] = static_cast<Scalar>(share[s] / sum);
    loss -= largest + std::log(sum / static_cast<double>(samples));
  }
  return loss;
}

ImportanceWeighted weigh(const at::Tensor& reconstruction, const at::Tensor& log_ratio,
                         const at::Tensor& kl_weight, int64_t samples) {
  const int64_t rows = reconstruction.size(0), examples = reconstruction.size(1) / samples;
  if (!fused(reconstruction)) {
    const auto log_w = -(reconstruction.to(at::kDouble) + kl_weight.unsqueeze(1) * log_ratio);
    const auto by_example = log_w.view({rows, examples, samples});
    const auto total = by_example.logsumexp(2);
    const auto weights = (by_example - total.unsqueeze(2)).exp().view(log_w.sizes());
    const double log_samples = std::log(static_cast<double>(samples));
    return {-(total - log_samples).sum(1), weights.to(reconstruction.scalar_type())};
  }
  ImportanceWeighted out{at::empty({rows}, reconstruction.options().dtype(at::kDouble)),
                         at::empty_like(reconstruction)};
  AT_DISPATCH_FLOATING_TYPES(reconstruction.scalar_type(), "importance_weighted", [&] {
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t begin = k * examples * samples;
      out.loss.mutable_data_ptr<double>()[k] = weigh_row(
          reconstruction.const_data_ptr<scalar_t>() + begin,
          log_ratio.const_data_ptr<scalar_t>() + begin, kl_weight.const_data_ptr<double>()[k],
          out.weights.mutable_data_ptr<scalar_t>() + begin, examples, samples);
    }
  });
  return out;
}

struct ImportanceFunction : torch::autograd::Function<ImportanceFunction> {
  static variable_list forward(AutogradContext* context, const at::Tensor& reconstruction,
                               const at::Tensor& log_ratio, const at::Tensor& kl_weight,
                               int64_t samples, bool squared) {
    const auto out = weigh(reconstruction.contiguous(), log_ratio.contiguous(), kl_weight, samples);
    context->saved_data["weights"] = out.weights;
    context->saved_data["kl_weight"] = kl_weight;
    context->saved_data["squared"] = squared;
    context->mark_non_differentiable({out.weights});
    return {out.loss, out.weights};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto weights = context->saved_data["weights"].toTensor();
    const auto kl_weight = context->saved_data["kl_weight"].toTensor();
    const auto type = weights.scalar_type();
    const auto by_reconstruction = weights * gradients[0].to(type).unsqueeze(1);
    auto by_ratio = weights * (gradients[0] * kl_weight).to(type).unsqueeze(1);
    if (context->saved_data["squared"].toBool()) by_ratio = by_ratio * weights;
    return {by_reconstruction, by_ratio, {}, {}, {}};
  }
};

}  // namespace

ImportanceWeighted importance_weighted(const at::Tensor& reconstruction,
                                       const at::Tensor& log_ratio, const at::Tensor& kl_weight,
                                       int64_t samples, bool squared) {
  const auto out =
      ImportanceFunction::apply(reconstruction, log_ratio, kl_weight, samples, squared);
  return {out[0], out[1]};
}

}  // namespace elbow::models
