#include "models/convolution.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/bias_activation.h"
#include "models/carried.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A layer's parameters, hidden from autograd, as in linear.cpp.
struct Places {
  at::Tensor weight, bias, weight_gradient, bias_gradient;
  Rows rows;
};

Places places_of(const BoundParameters& parameters, int weight, int bias, Precision precision) {
  return {factor_of(parameters, weight, precision), parameters.value(bias),
          parameters.gradient(weight), parameters.gradient(bias), parameters.rows()};
}

// What both directions keep from forward to backward, besides what autograd saves.
struct Pass : Places {
  PatchShape shape;
  Activation activation;
  bool input_gradient;
};

// a b as a new tensor of `like`'s dtype.
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& like, Rows rows) {
  auto out = at::empty({a.size(0), a.size(1), b.size(2)}, like.options());
  multiply(a, b, out, rows);
  return out;
}

// [rows, batch, positions * channels] as [rows, batch * positions, channels].
at::Tensor by_position(const at::Tensor& images, int64_t channels) {
  return images.view({images.size(0), -1, channels});
}

struct ConvolutionFunction : torch::autograd::Function<ConvolutionFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Pass& pass) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto patches = operand(extract_patches(x.contiguous(), pass.shape), pass.weight);
    const auto y = add_bias_and_activate(product(patches, pass.weight, x, pass.rows), pass.bias,
                                         pass.activation);
    if (pass.weight_gradient.defined()) {
      context->save_for_backward({patches, y});
      carry(context, pass);
    }
    return y.view({x.size(0), x.size(1), -1});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto &patches = saved[0], &y = saved[1];
    const auto& pass = carried<Pass>(context);
    const auto dy = gradients[0].contiguous().view(y.sizes());
    const auto da = activation_backward(dy, y, pass.activation, pass.bias_gradient);
    const auto multiplied = operand(da, pass.weight);
    multiply(patches.transpose(1, 2), multiplied, pass.weight_gradient, pass.rows);
    at::Tensor dx;
    if (pass.input_gradient)
      dx = spread_patches(product(multiplied, pass.weight.transpose(1, 2), da, pass.rows),
                          pass.shape);
    return {dx, {}};
  }
};

struct TransposedFunction : torch::autograd::Function<TransposedFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Pass& pass) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto in = operand(by_position(x.contiguous(), pass.weight.size(1)), pass.weight);
    const auto image = spread_patches(product(in, pass.weight, x, pass.rows), pass.shape);
    const auto y =
        add_bias_and_activate(by_position(image, pass.shape.channels), pass.bias, pass.activation);
    if (pass.weight_gradient.defined()) {
      context->save_for_backward({in, y});
      carry(context, pass);
    }
    return y.view(image.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto saved = context->get_saved_variables();
    const auto &in = saved[0], &y = saved[1];
    const auto& pass = carried<Pass>(context);
    const auto dy = gradients[0].contiguous();
    const auto da = activation_backward(dy.view(y.sizes()), y, pass.activation, pass.bias_gradient);
    const auto patches = operand(extract_patches(da.view(dy.sizes()), pass.shape), pass.weight);
    multiply(in.transpose(1, 2), patches, pass.weight_gradient, pass.rows);
    at::Tensor dx;
    if (pass.input_gradient) {
      dx = product(patches, pass.weight.transpose(1, 2), da, pass.rows)
               .view({dy.size(0), dy.size(1), -1});
    }
    return {dx, {}};
  }
};

}  // namespace

Convolution::Convolution(ParameterLayout& layout, const std::string& name, const PatchShape& shape,
                         int64_t out, Activation activation, Precision precision)
    : shape_(shape), activation_(activation), precision_(precision) {
  weight_ = layout.add({.shape = {shape.numbers(), out},
                        .is_weight = true,
                        .fan_in = shape.numbers(),
                        .parts = {{name + ".weight", 0, out}},
                        .fan_out = shape.kernel * shape.kernel * out,
                        .file = FileLayout::kConvolution,
                        .channels = shape.channels,
                        .kernel = shape.kernel,
                        .products = shape.patches()});
  bias_ = layout.add({.shape = {out},
                      .is_weight = false,
                      .fan_in = shape.numbers(),
                      .parts = {{name + ".bias", 0, out}}});
}

at::Tensor Convolution::forward(const BoundParameters& parameters, const at::Tensor& x,
                                bool input_gradient) const {
  return ConvolutionFunction::apply(x, Pass{places_of(parameters, weight_, bias_, precision_),
                                            shape_, activation_, input_gradient});
}

// Fans as PyTorch and Keras count them: by the kernel's square.
TransposedConvolution::TransposedConvolution(ParameterLayout& layout, const std::string& name,
                                             int64_t in, const PatchShape& shape,
                                             Activation activation, Precision precision)
    : shape_(shape), activation_(activation), precision_(precision) {
  weight_ = layout.add({.shape = {in, shape.numbers()},
                        .is_weight = true,
                        .fan_in = shape.numbers(),
                        .parts = {{name + ".weight", 0, shape.numbers()}},
                        .fan_out = shape.kernel * shape.kernel * in,
                        .file = FileLayout::kTransposedConvolution,
                        .channels = shape.channels,
                        .kernel = shape.kernel,
                        .products = shape.patches()});
  bias_ = layout.add({.shape = {shape.channels},
                      .is_weight = false,
                      .fan_in = shape.numbers(),
                      .parts = {{name + ".bias", 0, shape.channels}}});
}

at::Tensor TransposedConvolution::forward(const BoundParameters& parameters, const at::Tensor& x,
                                          bool input_gradient) const {
  return TransposedFunction::apply(x, Pass{places_of(parameters, weight_, bias_, precision_),
                                           shape_, activation_, input_gradient});
}

}  // namespace elbow::models
