// Initial weights, from counter-based random numbers: a function of the trial's seed, the tensor's
// place and the element alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "models/parameter_layout.h"

namespace elbow::models {

enum class Initialisation {
  kGlorot,   // weights U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation
             // 16); biases 0
  kPyTorch,  // weights and biases U(-a, a), a = 1 / sqrt(fan_in): the default of torch.nn.Linear
  kTruncatedNormal,  // weights N(0, std^2) cut at two standard deviations; biases 0
};

// Throws std::invalid_argument for an unknown name ("glorot", "pytorch", "truncated_normal").
Initialisation initialisation_named(const std::string& name);

// Fills `row` [P], float32 on the CPU. Gaps become 0. `standard_deviation` is for kTruncatedNormal.
void initialise(const ParameterLayout& layout, Initialisation how, double standard_deviation,
                uint64_t seed, at::Tensor row);

}  // namespace elbow::models
