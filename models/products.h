// Matrix products of stacked layers, in float32 (or float64) or with operands rounded to bfloat16.
//
// bfloat16 products add in float32 and give float32, so that weights, sums and gradients keep their
// precision. They pay where the CPU has instructions for them; elsewhere they are emulated, slowly.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/parameter_layout.h"

namespace elbow::models {

enum class Precision { kFloat32, kBfloat16 };

// Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX).
bool has_bfloat16_instructions();

// to = values, rounded to bfloat16. Contiguous, of one size.
void round(const at::Tensor& values, at::Tensor to);

// A weight, and values that meet it, as products of that precision read them: in the weight's
// dtype.
const at::Tensor& factor_of(const BoundParameters& parameters, int weight, Precision precision);
at::Tensor operand(const at::Tensor& values, const at::Tensor& weight);

// out = a b for each of the stacked pairs.
//   a: [rows, m, k], b: [rows, k, n], both of one dtype, each matrix contiguous or the transpose of
//   a contiguous one. out: [rows, m, n], contiguous matrices; float32 where a and b are bfloat16,
//   else of their dtype. Where all rows have one b (expanded), their lines are multiplied together.
// Of leaves on the CPU: in order, so that a cut of the batch moves no bits, and where out is
// [1, m, n], a weight's gradient, added over them (ordered_products.h). float32.
void multiply(const at::Tensor& a, const at::Tensor& b, at::Tensor out, Rows rows = Rows::kTrials);

}  // namespace elbow::models
