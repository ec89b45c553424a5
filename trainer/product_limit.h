// The time that a step's matrix products alone would take, zeros and all: the yardstick of a step
// on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/parameter_layout.h"

namespace elbow::trainer {

// The products of one forward and backward pass over `batch` examples of a network of dense layers:
// for each weight [in, out] x W, x^T dy, and dy W^T but for the first weight, whose input is the
// data.
class ProductLimit {
 public:
  ProductLimit(const models::ParameterLayout& layout, int64_t batch);

  // Seconds that all products take once, on the calling thread, with random numbers: the mean over
  // `repetitions`.
  double seconds(int64_t repetitions) const;

  double flops() const { return flops_; }  // of one pass: 2 m k n for each product

 private:
  struct Product {
    at::Tensor a, b, out;
  };
  std::vector<Product> products_;
  double flops_ = 0;
};

}  // namespace elbow::trainer
