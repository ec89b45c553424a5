#include "models/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <optional>
#include <stdexcept>

#include "models/bias_activation.h"
#include "models/forms.h"
#include "models/loops.h"
#include "models/sparse_products.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A layer's parameters, hidden from autograd in a plain struct: they are views of one flat buffer
// that shares a version counter, and their gradients are written in place. `weight` is what
// products read, so its dtype is theirs.
struct Places {
  at::Tensor weight, bias, weight_gradient, bias_gradient;
  at::Tensor bound;  // of the weight's gradient
  Rows rows = Rows::kTrials;
  Activation activation = Activation::kIdentity;
};

// No number of x^T da is larger, where they are float32 on the CPU; elsewhere it is not known.
float bound_of(const at::Tensor& x, const at::Tensor& da) {
  if (x.scalar_type() != at::kFloat || da.scalar_type() != at::kFloat || !fused(x))
    return std::numeric_limits<float>::infinity();
  const auto largest = [](const at::Tensor& values) {
    return loops::largest_magnitude(values.const_data_ptr<float>(), values.numel());
  };
  return static_cast<float>(da.size(1)) * largest(x) * largest(da);
}

// A product's operand, in the dtype of the other one.
at::Tensor operand(const at::Tensor& values, const at::Tensor& other) {
  return values.to(other.scalar_type());
}

// What a layer keeps from forward to backward besides y, which must not own itself. One object:
// looking things up by name takes longer than a small product.
struct Kept : torch::CustomClassHolder {
  Kept(Places its, at::Tensor read, NonZeros non_zeros, bool wants_input_gradient,
       bool wants_addend_gradient = false)
      : places(std::move(its)),
        x(std::move(read)),
        sparse(std::move(non_zeros)),
        input_gradient(wants_input_gradient),
        addend_gradient(wants_addend_gradient) {}
  Places places;
  at::Tensor x;     // as multiplied; undefined where its zeros are skipped
  NonZeros sparse;  // else undefined
  bool input_gradient, addend_gradient;

  static void save(AutogradContext* context, c10::intrusive_ptr<Kept> kept) {
    context->saved_data["kept"] = c10::IValue::make_capsule(std::move(kept));
  }
  static c10::intrusive_ptr<Kept> of(AutogradContext* context) {
    return c10::static_intrusive_pointer_cast<Kept>(context->saved_data["kept"].toCapsule());
  }
};

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& addend, const Places& places,
                            bool input_gradient, bool skips_zeros) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto& bias = places.bias;
    auto y = at::empty({x.size(0), x.size(1), bias.size(1)}, x.options());
    at::Tensor multiplied;
    NonZeros sparse;
    if (skips_zeros) {
      sparse = non_zeros(x);
      multiply(sparse, places.weight, y);
    } else {
      multiplied = operand(x, places.weight);
      multiply(multiplied, places.weight, y, places.rows);
    }
    if (addend) y.add_(*addend);
    y = add_bias_and_activate(y, bias, places.activation);
    if (!places.weight_gradient.defined()) return y;
    if (places.activation != Activation::kIdentity) context->save_for_backward({y});
    Kept::save(context, c10::make_intrusive<Kept>(places, std::move(multiplied), std::move(sparse),
                                                  input_gradient, addend.has_value()));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto kept = Kept::of(context);
    auto& places = kept->places;
    const auto saved = context->get_saved_variables();
    const auto dy = gradients[0].contiguous();
    const auto da = activation_backward(dy, saved.empty() ? at::Tensor() : saved[0],
                                        places.activation, places.bias_gradient);
    const auto multiplied = operand(da, places.weight);
    const auto& x = kept->x;
    if (x.defined()) {
      multiply(x.transpose(1, 2), multiplied, places.weight_gradient, places.rows);
    } else {
      multiply_transposed(kept->sparse, multiplied, places.weight_gradient);
    }
    *places.bound.mutable_data_ptr<float>() =
        bound_of(x.defined() ? x : kept->sparse.value, multiplied);
    at::Tensor dx;
    if (kept->input_gradient) {
      dx = at::empty({da.size(0), da.size(1), places.weight.size(1)}, da.options());
      multiply(multiplied, places.weight.transpose(1, 2), dx, places.rows);
    }
    return {dx, kept->addend_gradient ? da : at::Tensor(), {}, {}, {}};
  }
};

struct ProjectionFunction : torch::autograd::Function<ProjectionFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Places& places,
                            bool input_gradient) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    auto y = at::empty({x.size(0), x.size(1), places.weight.size(2)}, x.options());
    const auto multiplied = operand(x, places.weight);
    multiply(multiplied, places.weight, y, places.rows);
    if (places.weight_gradient.defined())
      Kept::save(context,
                 c10::make_intrusive<Kept>(places, multiplied, NonZeros(), input_gradient));
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto kept = Kept::of(context);
    const auto& places = kept->places;
    const auto dy = gradients[0].contiguous();
    const auto multiplied = operand(dy, places.weight);
    multiply(kept->x.transpose(1, 2), multiplied, places.weight_gradient, places.rows);
    at::Tensor dx;
    if (kept->input_gradient) {
      dx = at::empty(kept->x.sizes(), dy.options());
      multiply(multiplied, places.weight.transpose(1, 2), dx, places.rows);
    }
    return {dx, {}, {}};
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

at::Tensor Linear::forward_with(const BoundParameters& parameters, const at::Tensor& x,
                                const at::Tensor& addend, bool input_gradient) const {
  const bool rounded = precision_ == Precision::kBfloat16;
  const Places places{rounded ? parameters.rounded(weight_) : parameters.value(weight_),
                      parameters.value(bias_),
                      parameters.gradient(weight_),
                      parameters.gradient(bias_),
                      parameters.bounds()[weight_],
                      parameters.rows(),
                      activation_};
  // Autograd takes no undefined tensor.
  const auto given = addend.defined() ? std::optional(addend) : std::nullopt;
  const bool skips_zeros = skips_zeros_ && !rounded && fused(x);
  return LinearFunction::apply(x, given, places, input_gradient, skips_zeros);
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
  const bool rounded = precision_ == Precision::kBfloat16;
  const Places places{rounded ? parameters.rounded(weight_) : parameters.value(weight_),
                      {},
                      parameters.gradient(weight_),
                      {},
                      {},
                      parameters.rows(),
                      Activation::kIdentity};
  return ProjectionFunction::apply(x, places, input_gradient);
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
