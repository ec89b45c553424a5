// Bias and activation of a layer, and their way back: one loop on the CPU, ATen operations on other
// devices (forms.h). Not seen by autograd: layers call them in their own functions.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/elementwise.h"

namespace elbow::models {

// activation(y + bias), in y's memory where the loops run. y: [rows, n, columns], contiguous;
// bias: [rows, columns].
at::Tensor add_bias_and_activate(at::Tensor y, const at::Tensor& bias, Activation kind);

// The gradient before the activation, from the one after it; writes the bias's gradient, [rows,
// columns], into its place; where that is [1, columns], the rows are leaves (ordered_products.h).
// y: the activation's result; undefined for the identity. dy: contiguous.
at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& y, Activation kind,
                               at::Tensor bias_gradient);

}  // namespace elbow::models
