#include "trainer/optimizer.h"

#include <ATen/ATen.h>

#include <atomic>
#include <bit>
#include <cmath>

#include "models/simd.h"
#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

ELBOW_SIMD void rmsprop_loop(float* __restrict w, float* __restrict s, const float* __restrict g,
                             int64_t count, float lr, float rho, float epsilon, float l2) {
  const float fresh = 1.0f - rho;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] + l2 * w[i];
    const float square = rho * s[i] + fresh * (gradient * gradient);
    s[i] = square;
    w[i] -= lr * gradient / (std::sqrt(square) + epsilon);
  }
}

struct AdamNumbers {
  float beta1, beta2, fresh1, fresh2, step_size, root_of_correction2, epsilon, l2;
};

ELBOW_SIMD void adam_loop(float* __restrict w, float* __restrict m, float* __restrict v,
                          const float* __restrict g, int64_t count, const AdamNumbers& n) {
  const AdamNumbers k = n;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] + k.l2 * w[i];
    const float first = m[i] + k.fresh1 * (gradient - m[i]);
    const float second = k.beta2 * v[i] + k.fresh2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    w[i] -= k.step_size * (first / (std::sqrt(second) / k.root_of_correction2 + k.epsilon));
  }
}

// Largest exponent field of the numbers: all ones means infinity or NaN.
ELBOW_SIMD uint32_t largest_exponent(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t exponent = std::bit_cast<uint32_t>(values[i]) & 0x7F800000u;
    largest = exponent > largest ? exponent : largest;
  }
  return largest;
}

}  // namespace

Optimizer::Optimizer(const OptimizerSettings& settings)
    : adam_(settings.kind == "adam"),
      beta1_(settings.beta1),
      beta2_(settings.beta2),
      rho_(settings.rho),
      epsilon_(settings.epsilon.value_or(adam_ ? 1e-8 : 1e-7)) {}

int64_t Optimizer::states() const { return adam_ ? 2 : 1; }

std::vector<std::string> Optimizer::state_names() const {
  if (adam_) return {"first_moment", "second_moment"};
  return {"square_average"};
}

void Optimizer::update(const models::ParameterLayout& layout, const UpdateRates& rates,
                       const at::Tensor& gradient, at::Tensor parameters, at::Tensor state,
                       ThreadTeam& team) const {
  float* w = parameters.mutable_data_ptr<float>();
  float* s = state.mutable_data_ptr<float>();
  const float* g = gradient.const_data_ptr<float>();
  const int64_t size = layout.size();
  AdamNumbers adam{};
  if (adam_) {
    const double t = static_cast<double>(rates.step + 1);
    const double correction1 = 1.0 - std::pow(beta1_, t);
    const double correction2 = 1.0 - std::pow(beta2_, t);
    adam = {.beta1 = static_cast<float>(beta1_),
            .beta2 = static_cast<float>(beta2_),
            .fresh1 = static_cast<float>(1.0 - beta1_),
            .fresh2 = static_cast<float>(1.0 - beta2_),
            .step_size = static_cast<float>(rates.lr / correction1),
            .root_of_correction2 = static_cast<float>(std::sqrt(correction2)),
            .epsilon = static_cast<float>(epsilon_),
            .l2 = 0};
  }
  const auto run = [&](int64_t begin, int64_t end, double l2) {
    const float decay = static_cast<float>(2.0 * l2);
    if (adam_) {
      adam_loop(w + begin, s + begin, s + size + begin, g + begin, end - begin, [&] {
        auto numbers = adam;
        numbers.l2 = decay;
        return numbers;
      }());
    } else {
      rmsprop_loop(w + begin, s + begin, g + begin, end - begin, static_cast<float>(rates.lr),
                   static_cast<float>(rho_), static_cast<float>(epsilon_), decay);
    }
  };
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(size, team.size(), member);
    if (rates.l2 == 0) return run(share.begin, share.end, 0);
    for (const auto& parameter : layout.parameters()) {
      const int64_t begin = std::max(share.begin, parameter.offset);
      const int64_t end = std::min(share.end, parameter.offset + parameter.count());
      if (begin < end) run(begin, end, parameter.is_weight ? rates.l2 : 0);
    }
  });
}

bool all_finite(const at::Tensor& values, ThreadTeam& team) {
  std::atomic<bool> finite{true};
  const float* numbers = values.const_data_ptr<float>();
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(values.numel(), team.size(), member);
    if (largest_exponent(numbers + share.begin, share.size()) == 0x7F800000u) finite = false;
  });
  return finite;
}

double sum_of_squared_weights(const models::ParameterLayout& layout, const at::Tensor& row) {
  double sum = 0;
  const float* w = row.const_data_ptr<float>();
  for (const auto& parameter : layout.parameters()) {
    if (!parameter.is_weight) continue;
    for (int64_t i = parameter.offset; i < parameter.offset + parameter.count(); ++i)
      sum += static_cast<double>(w[i]) * w[i];
  }
  return sum;
}

}  // namespace elbow::trainer
