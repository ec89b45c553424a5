// From latents to the likelihood of an example: hidden dense layers, convolutions where there is an
// image, and what the likelihood reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/layer.h"
#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {

class Decoder {
 public:
  // Adds decoder.* to the layout. inputs: numbers that its first layer reads; hidden: widths of its
  // dense layers; joined_inputs: how many inputs an addend to the first of its layers stands for
  // (linear.h).
  Decoder(ParameterLayout& layout, const VaeShape& shape, int64_t inputs,
          const std::vector<int64_t>& hidden, int64_t joined_inputs = 0);

  // What the likelihood reads: [rows, batch * samples, observed].   z: [rows, batch * samples,
  // inputs]; addend: the same with joined_width() numbers, or undefined.
  at::Tensor output(const BoundParameters& parameters, const at::Tensor& z,
                    const at::Tensor& addend) const;
  // -log p(x | output), [rows, batch * samples]; half squared errors where sigma is pooled.
  at::Tensor nats(const BoundParameters& parameters, const at::Tensor& output,
                  const at::Tensor& x) const;

  // Width of the layer that an addend joins.
  static int64_t joined_width(const VaeShape& shape);

  int output_bias() const;
  at::Tensor output_bias_for(const at::Tensor& pixel_means) const;

  const std::vector<std::unique_ptr<Linear>>& dense() const { return dense_; }

 private:
  void add_image(ParameterLayout& layout, int64_t width, int64_t joined);

  const VaeShape& shape_;
  std::vector<std::unique_ptr<Linear>> dense_;
  std::vector<std::unique_ptr<Layer>> convolutions_;
  int log_sigma_ = -1;  // of a Gaussian likelihood that learns it
};

}  // namespace elbow::models
