// From an example to what its posterior is made of: convolutions where there is an image, hidden
// dense layers, and the latent head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/layer.h"
#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {

class Encoder {
 public:
  // Adds encoder.* to the layout. inputs: numbers that it reads, where there is no image.
  // joined_layer: the dense layer, counted from 0 with the head as the last, that an addend joins;
  // joined_inputs: how many inputs that stands for (linear.h).
  Encoder(ParameterLayout& layout, const VaeShape& shape, int64_t inputs, int64_t joined_layer = 0,
          int64_t joined_inputs = 0);

  // Means, then pre-activations of the scale: [rows, batch, 2 latent].   addend: of joined_width()
  // numbers an example, or undefined.
  at::Tensor head(const BoundParameters& parameters, const at::Tensor& x,
                  const at::Tensor& addend) const;

  static int64_t joined_width(const VaeShape& shape, int64_t joined_layer);
  // What the joined layer reads besides.
  int64_t inputs_beside() const { return inputs_beside_; }

  const std::vector<std::unique_ptr<Linear>>& dense() const { return dense_; }

 private:
  void add_dense(ParameterLayout& layout, int64_t in,
                 const std::vector<std::pair<std::string, int64_t>>& heads, Activation activation,
                 Precision precision, DenseNeighbour neighbour);

  const VaeShape& shape_;
  int64_t joined_layer_, joined_inputs_, inputs_beside_ = 0;
  std::vector<std::unique_ptr<Layer>> convolutions_;
  std::vector<std::unique_ptr<Linear>> dense_;  // the last one is the head: means, then scales
};

}  // namespace elbow::models
