// Products with a matrix that is mostly zeros, such as a batch of drawn digits: made of its other
// numbers alone. Of MNIST's pixels 19 % are not zero, and the first layer's two products take about
// half of the time of MKL's.
//
// An element is the sum of its terms in the order of their index, in one chain of fused
// multiply-adds (AVX2 and later alike): its bits depend on nothing but its own line and column.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

// Share of zeros from which on these products are the faster ones.
constexpr double kMostlyZeros = 2.0 / 3;

// What is not zero in x [rows, batch, k], line after line.
struct NonZeros {
  at::Tensor begin;   // [rows * batch + 1], int32: where a line's numbers begin in the other two
  at::Tensor column;  // [n], int32
  at::Tensor value;   // [n], of x's dtype
};

// x: [rows, batch, k], float32 or float64, contiguous, on the CPU; less than 2^31 numbers. NaN is
// not zero.
NonZeros non_zeros(const at::Tensor& x);

// out = x w.   w: [rows, k, n]; out: [rows, batch, n]; matrices of x's dtype, each contiguous; w
// may be bfloat16 where x is float32, and is read as the float32 numbers that it stands for. What x
// does not have is not looked at: where w is not finite there, out may still be.
void multiply(const NonZeros& x, const at::Tensor& w, at::Tensor out);

// out = x^T dy.   dy: [rows, batch, n]; out: [rows, k, n]; as above. Where out is [1, k, n], the
// rows are leaves, a power of two, whose products are added as ordered_products.h says.
void multiply_transposed(const NonZeros& x, const at::Tensor& dy, at::Tensor out);

}  // namespace elbow::models
