#include "models/bias_activation.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include "models/forms.h"
#include "models/loops.h"
#include "models/ordered_products.h"

namespace elbow::models {
namespace {

at::Tensor activated(const at::Tensor& a, Activation kind) {
  switch (kind) {
    case Activation::kTanh:
      return a.tanh();
    case Activation::kRelu:
      return a.relu();
    case Activation::kSigmoid:
      return a.sigmoid();
    case Activation::kSoftplus:
      return a.clamp_min(0) + at::log1p((-a.abs()).exp());
    default:
      return a;
  }
}

at::Tensor slope(const at::Tensor& y, Activation kind) {
  switch (kind) {
    case Activation::kTanh:
      return 1 - y * y;
    case Activation::kRelu:
      return (y > 0).to(y.scalar_type());
    case Activation::kSigmoid:
      return y * (1 - y);
    case Activation::kSoftplus:
      return -at::expm1(-y);
    default:
      return at::ones_like(y);
  }
}

}  // namespace

at::Tensor add_bias_and_activate(at::Tensor y, const at::Tensor& bias, Activation kind) {
  if (!fused(y)) return activated(y.add_(bias.unsqueeze(1)), kind);
  AT_DISPATCH_FLOATING_TYPES(y.scalar_type(), "bias_activation", [&] {
    const int64_t block = y.size(1) * y.size(2);
    for (int64_t k = 0; k < y.size(0); ++k) {
      loops::add_bias_and_activate(y.mutable_data_ptr<scalar_t>() + k * block,
                                   bias.const_data_ptr<scalar_t>() + k * bias.stride(0), y.size(1),
                                   y.size(2), kind);
    }
  });
  return y;
}

at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& y, Activation kind,
                               at::Tensor bias_gradient) {
  auto da = dy;
  if (!fused(dy)) {
    if (kind != Activation::kIdentity) da = dy * slope(y, kind);
    at::sum_out(bias_gradient, da, {1});
    return da;
  }
  if (kind != Activation::kIdentity) da = at::empty_like(dy);
  const bool leaves = bias_gradient.size(0) < dy.size(0);
  auto sums = leaves ? at::empty({dy.size(0), dy.size(2)}, dy.options()) : bias_gradient;
  AT_DISPATCH_FLOATING_TYPES(dy.scalar_type(), "bias_activation_backward", [&] {
    const int64_t block = dy.size(1) * dy.size(2);
    for (int64_t k = 0; k < dy.size(0); ++k) {
      loops::activation_backward(dy.const_data_ptr<scalar_t>() + k * block,
                                 y.defined() ? y.const_data_ptr<scalar_t>() + k * block : nullptr,
                                 da.mutable_data_ptr<scalar_t>() + k * block,
                                 sums.mutable_data_ptr<scalar_t>() + k * sums.stride(0), dy.size(1),
                                 dy.size(2), kind);
    }
  });
  if (leaves) add_leaves(sums, bias_gradient);
  return da;
}

}  // namespace elbow::models
