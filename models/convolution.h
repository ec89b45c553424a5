// Stacked convolutions with their activation: matrix products over patches (patches.h), so that
// exact mode has the bits that MKL promises for products. Images lie position by position, channels
// last. Weights are [kernel, kernel, channels, out] here and PyTorch's in files: [out, channels,
// kernel, kernel], and [in, out, kernel, kernel] where transposed; zeros around the image are
// (kernel - 1) / 2 on each side.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "models/elementwise.h"
#include "models/layer.h"
#include "models/patches.h"
#include "models/products.h"

namespace elbow::models {

// y = activation(conv2d(x, W) + b).   x: [rows, batch, image], y: [rows, batch, patches * out].
class Convolution : public Layer {
 public:
  // Adds NAME.weight and NAME.bias to the layout.
  Convolution(ParameterLayout& layout, const std::string& name, const PatchShape& shape,
              int64_t out, Activation activation, Precision precision = Precision::kFloat32);

  at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                     bool input_gradient) const override;
  int bias() const override { return bias_; }

 private:
  PatchShape shape_;
  int weight_, bias_;
  Activation activation_;
  Precision precision_;
};

// y = activation(conv_transpose2d(x, W) + b): from the patches' positions, [rows, batch, patches *
// in], to the image of `shape`, which has the right one of the sizes that are possible.
class TransposedConvolution : public Layer {
 public:
  TransposedConvolution(ParameterLayout& layout, const std::string& name, int64_t in,
                        const PatchShape& shape, Activation activation,
                        Precision precision = Precision::kFloat32);

  at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                     bool input_gradient) const override;
  int bias() const override { return bias_; }

 private:
  PatchShape shape_;
  int weight_, bias_;
  Activation activation_;
  Precision precision_;
};

}  // namespace elbow::models
