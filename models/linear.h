// Stacked dense layer with its activation as one coarse autograd function: y = activation(x W + b)
// for K trials at once.
//
// The backward pass writes the gradients of W and b straight into their places in the flat gradient
// buffer, overwriting them, so autograd never sees a parameter and nothing has to be zeroed.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "models/elementwise.h"
#include "models/layer.h"
#include "models/parameter_layout.h"
#include "models/products.h"

namespace elbow::models {

// The image that a dense layer reads or writes, where a convolution stands beside it: its numbers
// lie position by position here, and channel by channel in files, as PyTorch flattens them.
struct DenseNeighbour {
  FileLayout layout = FileLayout::kPlain;  // kFromImage or kToImage
  int64_t channels = 1;
};

struct DensePass;  // what a backward pass needs of the forward one

class Linear : public Layer {
 public:
  // Adds weight [in, out] and bias [out] to the layout, named NAME.weight and NAME.bias. Two heads
  // that read the same input may share one product: `heads` then lists (name, width) of each, out
  // is their sum. precision: of the products' operands.
  // joined: inputs that a projection adds to this layer's own, for its fans. skips_zeros: its
  // products leave out the zeros of x, which are most (sparse_products.h); on the CPU.
  Linear(ParameterLayout& layout, int64_t in,
         const std::vector<std::pair<std::string, int64_t>>& heads, Activation activation,
         Precision precision = Precision::kFloat32, DenseNeighbour neighbour = {},
         int64_t joined = 0, bool skips_zeros = false);

  at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                     bool input_gradient) const override;
  // activation(x W + addend + b).   addend: [rows, batch, out], recorded like x; undefined: 0.
  at::Tensor forward_with(const BoundParameters& parameters, const at::Tensor& x,
                          const at::Tensor& addend, bool input_gradient) const;

  // The same without autograd, for a network that keeps its own order of things: the same bits.
  // backward() returns x's gradient, undefined unless it was wanted, and writes the others.
  struct Done {
    at::Tensor y;
    std::shared_ptr<const DensePass> pass;
  };
  Done run(const BoundParameters& parameters, const at::Tensor& x, bool input_gradient) const;
  static at::Tensor backward(const Done& done, const at::Tensor& dy);

  Activation activation() const { return activation_; }
  int weight() const { return weight_; }
  int bias() const override { return bias_; }

 private:
  DensePass pass_of(const BoundParameters& parameters, const at::Tensor& x,
                    bool input_gradient) const;

  int weight_;
  int bias_;
  Activation activation_;
  Precision precision_;
  bool skips_zeros_;
};

// y = x W, without bias or activation: the other half of a layer that reads two inputs side by
// side, because [a, x] [V; W] = a V + x W.
class Projection {
 public:
  // Adds NAME.weight, [in, out]. joined: inputs of the layer whose other half this is.
  Projection(ParameterLayout& layout, const std::string& name, int64_t in, int64_t out,
             int64_t joined, Precision precision = Precision::kFloat32);

  // As Layer::forward().
  at::Tensor forward(const BoundParameters& parameters, const at::Tensor& x,
                     bool input_gradient) const;

 private:
  int weight_;
  Precision precision_;
};

// "tanh" … as in the settings. Throws std::invalid_argument.
Activation activation_named(const std::string& name);

}  // namespace elbow::models
