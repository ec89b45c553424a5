// Matrix products in float32 whose bits depend on nothing but the numbers of their own line and
// column: an element is one chain of fused multiply-adds in the order of the index (AVX2 and later
// alike). So exact mode may cut a batch anywhere, and add the gradients of its leaves in the same
// pass, where a library's kernel for another shape has other bits.
//
// About as fast as MKL's kernels where a is at most a few hundred lines.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

// out = a b for each of the stacked pairs.
//   a: [rows, m, k], b: [rows, k, n], float32, on the CPU, each matrix contiguous or the transpose
//   of a contiguous one. out: [rows, m, n], contiguous matrices.
// Where out is [1, m, n] and a has more rows, these are leaves, a power of two: out is the sum of
// their products, as add_leaves() adds them, and none of them is ever written.
void multiply_in_order(const at::Tensor& a, const at::Tensor& b, at::Tensor out);

// out = the sum of the parts in a binary tree: that of the first half plus that of the second.
//   parts: [leaves, ...], a power of two, changed on the way; out: [1, ...].
void add_leaves(at::Tensor parts, at::Tensor out);

}  // namespace elbow::models
