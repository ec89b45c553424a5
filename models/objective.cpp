#include "models/objective.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// loss[k] = a[k] * sum_i reconstruction[k, i] + b[k] * sum_ij kl[k, i, j]: one node, because its
// gradients are constants.
struct ElboFunction : torch::autograd::Function<ElboFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& reconstruction,
                            const at::Tensor& kl, const at::Tensor& reconstruction_weight,
                            const at::Tensor& kl_weight) {
    context->saved_data["reconstruction_weight"] = reconstruction_weight;
    context->saved_data["kl_weight"] = kl_weight;
    context->saved_data["kl"] = kl.detach();  // for its shape and type only
    return reconstruction_weight * reconstruction.sum(1, /*keepdim=*/false, at::kDouble) +
           kl_weight * kl.sum(at::IntArrayRef{1, 2}, /*keepdim=*/false, at::kDouble);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto a = context->saved_data["reconstruction_weight"].toTensor() * gradients[0];
    const auto b = context->saved_data["kl_weight"].toTensor() * gradients[0];
    const auto kl = context->saved_data["kl"].toTensor();
    return {a.to(kl.scalar_type()).unsqueeze(1).expand({kl.size(0), kl.size(1)}),
            b.to(kl.scalar_type()).view({-1, 1, 1}).expand_as(kl),
            {},
            {}};
  }
};

class Elbo : public Objective {
 public:
  at::Tensor leaf_loss(const ExampleTerms& terms, const ObjectiveContext& context) const override {
    const auto per_example = context.scale / static_cast<double>(context.batch_size);
    return ElboFunction::apply(terms.reconstruction, terms.kl, per_example,
                               per_example * context.kl_weight);
  }
};

}  // namespace

at::Tensor Objective::leaf_statistics(const ExampleTerms& terms) const {
  return at::zeros({terms.reconstruction.size(0), 0},
                   terms.reconstruction.options().dtype(at::kDouble));
}

std::unique_ptr<Objective> make_elbo() { return std::make_unique<Elbo>(); }

}  // namespace elbow::models
