#include "models/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <optional>
#include <stdexcept>

#include "models/bias_activation.h"
#include "models/carried.h"
#include "models/forms.h"
#include "models/loops.h"
#include "models/sparse_products.h"

namespace elbow::models {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What a layer keeps from forward to backward. Its parameters, hidden from autograd in a plain
// struct: they are views of one flat buffer that shares a version counter, and their gradients are
// written in place.
struct DensePass {
  at::Tensor weight;  // what products read, so its dtype is theirs
  at::Tensor bias;    // undefined: there is none
  at::Tensor weight_gradient, bias_gradient;
  at::Tensor bound;  // of the weight's gradient; undefined: not wanted
  Rows rows = Rows::kTrials;
  Activation activation = Activation::kIdentity;
  bool skips_zeros = false;
  bool input_gradient = false, addend_gradient = false;

  at::Tensor x;     // as multiplied; undefined where its zeros are skipped
  NonZeros sparse;  // else undefined
};

namespace {

// No number of x^T da is larger, where they are float32 or bfloat16 on the CPU; elsewhere it is not
// known.
float bound_of(const at::Tensor& x, const at::Tensor& da) {
  const auto largest = [](const at::Tensor& values) {
    if (fused(values) && values.scalar_type() == at::kFloat)
      return loops::largest_magnitude(values.const_data_ptr<float>(), values.numel());
    if (fused(values) && values.scalar_type() == at::kBFloat16)
      return loops::largest_magnitude_bfloat16(
          reinterpret_cast<const uint16_t*>(values.const_data_ptr<at::BFloat16>()), values.numel());
    return std::numeric_limits<float>::infinity();
  };
  return static_cast<float>(da.size(1)) * largest(x) * largest(da);
}

at::Tensor forward(DensePass& pass, const at::Tensor& x, const at::Tensor& addend) {
  auto y = at::empty({x.size(0), x.size(1), pass.weight.size(2)}, x.options());
  if (pass.skips_zeros) {
    pass.sparse = non_zeros(x);
    if (pass.weight.scalar_type() == at::kBFloat16)
      pass.sparse.value = pass.sparse.value.to(at::kBFloat16).to(at::kFloat);
    multiply(pass.sparse, pass.weight, y);
  } else {
    pass.x = operand(x, pass.weight);
    multiply(pass.x, pass.weight, y, pass.rows);
  }
  if (addend.defined()) y.add_(addend);
  return pass.bias.defined() ? add_bias_and_activate(y, pass.bias, pass.activation) : y;
}

struct Slopes {
  at::Tensor x, addend;  // undefined where they are not wanted
};

// y: not read for the identity.
Slopes backward(const DensePass& pass, const at::Tensor& y, const at::Tensor& dy) {
  const auto da =
      pass.bias.defined() ? activation_backward(dy, y, pass.activation, pass.bias_gradient) : dy;
  const auto multiplied = operand(da, pass.weight);
  if (pass.skips_zeros) {
    multiply_transposed(pass.sparse, multiplied, pass.weight_gradient);
  } else {
    multiply(pass.x.transpose(1, 2), multiplied, pass.weight_gradient, pass.rows);
  }
  if (pass.bound.defined())
    *pass.bound.mutable_data_ptr<float>() =
        bound_of(pass.skips_zeros ? pass.sparse.value : pass.x, multiplied);
  Slopes slopes;
  if (pass.input_gradient) {
    slopes.x = at::empty({da.size(0), da.size(1), pass.weight.size(1)}, da.options());
    multiply(multiplied, pass.weight.transpose(1, 2), slopes.x, pass.rows);
  }
  if (pass.addend_gradient) slopes.addend = da;
  return slopes;
}

struct DenseFunction : torch::autograd::Function<DenseFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& addend, DensePass pass) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto y = models::forward(pass, x, addend.value_or(at::Tensor()));
    if (!pass.weight_gradient.defined()) return y;
    if (pass.activation != Activation::kIdentity) context->save_for_backward({y});
    carry(context, std::move(pass));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto slopes =
        models::backward(carried<DensePass>(context), saved.empty() ? at::Tensor() : saved[0],
                         gradients[0].contiguous());
    return {slopes.x, slopes.addend, {}};
  }
};

}  // namespace

Linear::Linear(ParameterLayout& layout, int64_t in,
               const std::vector<std::pair<std::string, int64_t>>& heads, Activation activation,
               Precision precision, DenseNeighbour neighbour, int64_t joined, bool skips_zeros)
    : activation_(activation), precision_(precision), skips_zeros_(skips_zeros) {
  Parameter weight{.shape = {in, 0},
                   .is_weight = true,
                   .fan_in = in + joined,
                   .file = neighbour.layout,
                   .channels = neighbour.channels};
  Parameter bias{
      .shape = {0}, .is_weight = false, .fan_in = in + joined, .channels = neighbour.channels};
  if (neighbour.layout == FileLayout::kToImage) bias.file = neighbour.layout;
  int64_t out = 0;
  for (const auto& [name, width] : heads) {
    weight.parts.push_back({name + ".weight", out, out + width});
    bias.parts.push_back({name + ".bias", out, out + width});
    out += width;
  }
  weight.shape[1] = bias.shape[0] = out;
  weight_ = layout.add(std::move(weight));
  bias_ = layout.add(std::move(bias));
}

at::Tensor Linear::forward(const BoundParameters& parameters, const at::Tensor& x,
                           bool input_gradient) const {
  return forward_with(parameters, x, /*addend=*/{}, input_gradient);
}

DensePass Linear::pass_of(const BoundParameters& parameters, const at::Tensor& x,
                          bool input_gradient) const {
  return {.weight = factor_of(parameters, weight_, precision_),
          .bias = parameters.value(bias_),
          .weight_gradient = parameters.gradient(weight_),
          .bias_gradient = parameters.gradient(bias_),
          .bound = parameters.bounds()[weight_],
          .rows = parameters.rows(),
          .activation = activation_,
          .skips_zeros = skips_zeros_ && fused(x),
          .input_gradient = input_gradient};
}

at::Tensor Linear::forward_with(const BoundParameters& parameters, const at::Tensor& x,
                                const at::Tensor& addend, bool input_gradient) const {
  auto pass = pass_of(parameters, x, input_gradient);
  pass.addend_gradient = addend.defined();
  // Autograd takes no undefined tensor.
  return DenseFunction::apply(x, addend.defined() ? std::optional(addend) : std::nullopt,
                              std::move(pass));
}

Linear::Done Linear::run(const BoundParameters& parameters, const at::Tensor& x,
                         bool input_gradient) const {
  auto pass = std::make_shared<DensePass>(pass_of(parameters, x, input_gradient));
  const auto y = models::forward(*pass, x, /*addend=*/{});
  return {y, std::move(pass)};
}

at::Tensor Linear::backward(const Done& done, const at::Tensor& dy) {
  return models::backward(*done.pass, done.y, dy).x;
}

Projection::Projection(ParameterLayout& layout, const std::string& name, int64_t in, int64_t out,
                       int64_t joined, Precision precision)
    : precision_(precision) {
  weight_ = layout.add({.shape = {in, out},
                        .is_weight = true,
                        .fan_in = in + joined,
                        .parts = {{name + ".weight", 0, out}}});
}

at::Tensor Projection::forward(const BoundParameters& parameters, const at::Tensor& x,
                               bool input_gradient) const {
  return DenseFunction::apply(x, std::nullopt,
                              DensePass{.weight = factor_of(parameters, weight_, precision_),
                                        .weight_gradient = parameters.gradient(weight_),
                                        .rows = parameters.rows(),
                                        .input_gradient = input_gradient});
}

Activation activation_named(const std::string& name) {
  if (name == "identity") return Activation::kIdentity;
  if (name == "tanh") return Activation::kTanh;
  if (name == "relu") return Activation::kRelu;
  if (name == "sigmoid") return Activation::kSigmoid;
  if (name == "softplus") return Activation::kSoftplus;
  throw std::invalid_argument("unknown activation '" + name + "'");
}

}  // namespace elbow::models
