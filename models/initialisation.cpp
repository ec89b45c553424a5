#include "models/initialisation.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

#include "models/elementwise.h"

namespace elbow::models {
namespace {

// Element `e` of the tensor with ordinal `tensor`, draw by draw.
Philox4 numbers_of(uint64_t seed, uint32_t tensor, uint32_t e, uint32_t draw) {
  return random_block(StreamKey{seed, Purpose::kInitialWeights, /*time=*/0, tensor, draw}, e);
}

float uniform(uint64_t seed, uint32_t tensor, uint32_t e, double limit) {
  const double u = uniform_open(numbers_of(seed, tensor, e, 0).word[0]);
  return static_cast<float>((2.0 * u - 1.0) * limit);
}

float truncated_normal(uint64_t seed, uint32_t tensor, uint32_t e, double standard_deviation) {
  for (uint32_t draw = 0;; ++draw) {  // each draw stays with probability 0.954
    const auto block = numbers_of(seed, tensor, e, draw);
    const float n = normal_pair(block.word[0], block.word[1]).first;
    if (std::fabs(n) <= 2.0f) return static_cast<float>(n * standard_deviation);
  }
}

}  // namespace

Initialisation initialisation_named(const std::string& name) {
  if (name == "glorot") return Initialisation::kGlorot;
  if (name == "pytorch") return Initialisation::kPyTorch;
  if (name == "truncated_normal") return Initialisation::kTruncatedNormal;
  throw std::invalid_argument("unknown initialisation '" + name + "'");
}

void initialise(const ParameterLayout& layout, Initialisation how, double standard_deviation,
                uint64_t seed, at::Tensor row) {
  row.zero_();
  float* flat = row.mutable_data_ptr<float>();
  uint32_t tensor = 0;
  for (const auto& parameter : layout.parameters()) {
    const int64_t columns = parameter.shape.back();
    const int64_t lines = parameter.count() / columns;
    for (const auto& part : parameter.parts) {
      const int64_t width = part.end - part.begin;
      const int64_t fan_out = parameter.fan_out > 0 ? parameter.fan_out : width;
      const double glorot = std::sqrt(6.0 / static_cast<double>(parameter.fan_in + fan_out));
      const double pytorch = 1.0 / std::sqrt(static_cast<double>(parameter.fan_in));
      for (int64_t i = 0; i < lines; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          const auto e = static_cast<uint32_t>(i * width + j);
          float value = 0;
          if (parameter.start) {
            value = static_cast<float>(*parameter.start);
          } else if (how == Initialisation::kPyTorch) {
            value = uniform(seed, tensor, e, pytorch);
          } else if (parameter.is_weight && how == Initialisation::kGlorot) {
            value = uniform(seed, tensor, e, glorot);
          } else if (parameter.is_weight) {
            value = truncated_normal(seed, tensor, e, standard_deviation);
          }
          flat[parameter.offset + i * columns + part.begin + j] = value;
        }
      }
      ++tensor;
    }
  }
}

}  // namespace elbow::models
