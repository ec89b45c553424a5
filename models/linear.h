// Stacked dense layer with its activation as one coarse autograd function: y = activation(x W + b)
// for K trials at once.
//
// The backward pass writes the gradients of W and b straight into their places in the flat gradient
// buffer, overwriting them, so autograd never sees a parameter and nothing has to be zeroed. Bias
// and activation are one loop on the CPU, and ATen operations on other devices (forms.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/elementwise.h"
#include "models/parameter_layout.h"
#include "models/products.h"

namespace elbow::models {

class Linear {
 public:
  // Adds weight [in, out] and bias [out] to the layout, named NAME.weight and NAME.bias. Two heads
  // that read the same input may share one product: `heads` then lists (name, width) of each, out
  // is their sum. precision: of the products' operands.
  Linear(ParameterLayout& layout, int64_t in,
         const std::vector<std::pair<std::string, int64_t>>& heads, Activation activation,
         Precision precision = Precision::kFloat32);

  // x: [rows, batch, in], float32 or float64.   Returns [rows, batch, out].
  // Recorded for backward where grad mode is on; then `parameters` must have gradients and outlive
  // the backward pass. With bfloat16 products `parameters` must have rounded values. Where x needs
  // no gradient itself (the data), pass it with requires_grad set: its gradient is never computed
  // unless `input_gradient`.
  at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                     bool input_gradient) const;

  Activation activation() const { return activation_; }
  int weight() const { return weight_; }
  int bias() const { return bias_; }

 private:
  int weight_;
  int bias_;
  Activation activation_;
  Precision precision_;
};

// "tanh" … as in the settings. Throws std::invalid_argument.
Activation activation_named(const std::string& name);

}  // namespace elbow::models
