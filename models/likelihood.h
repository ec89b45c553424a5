// Likelihoods p(x | z): how many nats it costs to name an image, given the decoder's output.
#pragma once

#include <ATen/core/Tensor.h>

namespace elbow::models {

// Bernoulli from logits: -sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)], p = sigmoid(logits), as one
// coarse autograd function that computes the loss and its derivative in one pass. For grey x in (0,
// 1) this is a cross-entropy, not a likelihood: its floor is the entropy of the data.
//   logits, x: [rows, batch, observed], float32 or float64, contiguous.   Returns [rows, batch],
//   nats.
at::Tensor bernoulli_nats(const at::Tensor& logits, const at::Tensor& x);

}  // namespace elbow::models
