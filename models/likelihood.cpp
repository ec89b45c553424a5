#include "models/likelihood.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/forms.h"
#include "models/loops.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct BernoulliFunction : torch::autograd::Function<BernoulliFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& logits, const at::Tensor& x,
                            bool with_residual) {
    at::Tensor nats, residual;
    if (fused(logits)) {
      nats = at::empty({logits.size(0), logits.size(1)}, logits.options());
      if (with_residual) residual = at::empty_like(logits);
      AT_DISPATCH_FLOATING_TYPES(logits.scalar_type(), "bernoulli_nats", [&] {
        loops::bernoulli_rows(logits.const_data_ptr<scalar_t>(), x.const_data_ptr<scalar_t>(),
                              nats.mutable_data_ptr<scalar_t>(),
                              with_residual ? residual.mutable_data_ptr<scalar_t>() : nullptr,
                              logits.size(0) * logits.size(1), logits.size(2));
      });
    } else {
      nats = (logits.clamp_min(0) - logits * x + at::log1p((-logits.abs()).exp())).sum(2);
      if (with_residual) residual = logits.sigmoid() - x;
    }
    context->saved_data["residual"] = residual;
    return nats;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto residual = context->saved_data["residual"].toTensor();
    const auto scale = gradients[0].contiguous();
    if (!fused(residual)) return {residual * scale.unsqueeze(2), {}, {}};
    auto dlogits = at::empty_like(residual);
    AT_DISPATCH_FLOATING_TYPES(residual.scalar_type(), "bernoulli_backward", [&] {
      loops::scale_rows(residual.const_data_ptr<scalar_t>(), scale.const_data_ptr<scalar_t>(),
                        dlogits.mutable_data_ptr<scalar_t>(), residual.size(0) * residual.size(1),
                        residual.size(2));
    });
    return {dlogits, {}, {}};
  }
};

}  // namespace

at::Tensor bernoulli_nats(const at::Tensor& logits, const at::Tensor& x) {
  return BernoulliFunction::apply(logits, x, at::GradMode::is_enabled());
}

}  // namespace elbow::models
