// What a network is made of: a stacked layer with its activation, for K trials at once.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/parameter_layout.h"

namespace elbow::models {

class Layer {
 public:
  virtual ~Layer() = default;

  // x: [rows, batch, in], float32 or float64.   Returns [rows, batch, out].
  // Recorded for backward where grad mode is on; then `parameters` must have gradients and outlive
  // the backward pass, which writes gradients straight into their places. With bfloat16 products
  // `parameters` must have rounded values. Where x needs no gradient itself (the data), pass it
  // with requires_grad set: its gradient is never computed unless `input_gradient`.
  virtual at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                             bool input_gradient) const = 0;

  virtual int bias() const = 0;  // its parameter's index
};

}  // namespace elbow::models
