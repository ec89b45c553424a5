#include "trainer/optimizer.h"

#include <ATen/ATen.h>

#include <atomic>
#include <bit>
#include <cmath>

#include "models/forms.h"
#include "models/simd.h"
#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

// A rule is one update's constants, and its formula twice: as a loop over one stretch of a row, and
// in ATen operations on any device. decay: 2 l2 for weights, 0 for biases.

at::Tensor full_gradient(const at::Tensor& w, const at::Tensor& g, float scale, float decay) {
  const auto scaled = scale == 1 ? g : scale * g;
  return decay == 0 ? scaled : scaled + decay * w;
}

ELBOW_SIMD void rmsprop_loop(float* __restrict w, float* __restrict s, const float* __restrict g,
                             int64_t count, float scale, float lr, float rho, float epsilon,
                             float l2) {
  const float fresh = 1.0f - rho;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = scale * g[i] + l2 * w[i];
    const float square = rho * s[i] + fresh * (gradient * gradient);
    s[i] = square;
    w[i] -= lr * gradient / (std::sqrt(square) + epsilon);
  }
}

struct RmspropRule {
  float scale, lr, rho, epsilon;

  void loop(float* w, float* s, const float* g, int64_t /*size*/, int64_t count,
            float decay) const {
    rmsprop_loop(w, s, g, count, scale, lr, rho, epsilon, decay);
  }
  void aten(at::Tensor w, const at::Tensor& state, const at::Tensor& g, float decay) const {
    auto s = state.select(0, 0);
    const auto gradient = full_gradient(w, g, scale, decay);
    s.mul_(rho).add_((1.0f - rho) * (gradient * gradient));
    w.sub_(lr * gradient / (s.sqrt() + epsilon));
  }
};

// step_size and epsilon are multiplied by the root of the second moment's correction, which saves a
// division an element.
struct AdamNumbers {
  float scale, beta1, beta2, fresh1, fresh2, step_size, epsilon, l2;
};

ELBOW_SIMD void adam_loop(float* __restrict w, float* __restrict m, float* __restrict v,
                          const float* __restrict g, int64_t count, const AdamNumbers& n) {
  const AdamNumbers k = n;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = k.scale * g[i] + k.l2 * w[i];
    const float first = m[i] + k.fresh1 * (gradient - m[i]);
    const float second = k.beta2 * v[i] + k.fresh2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    w[i] -= k.step_size * (first / (std::sqrt(second) + k.epsilon));
  }
}

struct AdamRule {
  AdamNumbers k;

  void loop(float* w, float* s, const float* g, int64_t size, int64_t count, float decay) const {
    auto numbers = k;
    numbers.l2 = decay;
    adam_loop(w, s, s + size, g, count, numbers);
  }
  void aten(at::Tensor w, const at::Tensor& state, const at::Tensor& g, float decay) const {
    auto m = state.select(0, 0), v = state.select(0, 1);
    const auto gradient = full_gradient(w, g, k.scale, decay);
    m.add_(k.fresh1 * (gradient - m));
    v.mul_(k.beta2).add_(k.fresh2 * (gradient * gradient));
    w.sub_(k.step_size * (m / (v.sqrt() + k.epsilon)));
  }
};

// Calls visit(range, decay) for the stretches of `share` that decay alike.
template <class Visit>
void for_each_decay(const models::ParameterLayout& layout, double l2, const Range& share,
                    const Visit& visit) {
  if (l2 == 0) return visit(share, 0.0f);
  for (const auto& parameter : layout.parameters()) {
    const int64_t begin = std::max(share.begin, parameter.offset);
    const int64_t end = std::min(share.end, parameter.offset + parameter.count());
    if (begin < end)
      visit(Range{begin, end}, parameter.is_weight ? static_cast<float>(2.0 * l2) : 0.0f);
  }
}

// One row, in place.
struct RowMemory {
  at::Tensor parameters;  // [P]
  at::Tensor state;       // [S, P]
  at::Tensor gradient;    // [P]
};

template <class Rule>
void apply(const Rule& rule, const models::ParameterLayout& layout, double l2, const RowMemory& row,
           ThreadTeam& team) {
  const int64_t size = layout.size();
  if (!models::fused(row.parameters)) {
    return for_each_decay(layout, l2, {0, size}, [&](const Range& range, float decay) {
      const auto part = [&](const at::Tensor& flat) {
        return flat.narrow(-1, range.begin, range.size());
      };
      rule.aten(part(row.parameters), part(row.state), part(row.gradient), decay);
    });
  }
  float* w = row.parameters.mutable_data_ptr<float>();
  float* s = row.state.mutable_data_ptr<float>();
  const float* g = row.gradient.const_data_ptr<float>();
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(size, team.size(), member);
    for_each_decay(layout, l2, share, [&](const Range& range, float decay) {
      rule.loop(w + range.begin, s + range.begin, g + range.begin, size, range.size(), decay);
    });
  });
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
  const RowMemory row{parameters, state, gradient};
  if (!adam_) {
    const RmspropRule rule{.scale = static_cast<float>(rates.gradient_scale),
                           .lr = static_cast<float>(rates.lr),
                           .rho = static_cast<float>(rho_),
                           .epsilon = static_cast<float>(epsilon_)};
    return apply(rule, layout, rates.l2, row, team);
  }
  const double t = static_cast<double>(rates.step + 1);
  const double correction1 = 1.0 - std::pow(beta1_, t);
  const double root2 = std::sqrt(1.0 - std::pow(beta2_, t));
  const AdamRule rule{{.scale = static_cast<float>(rates.gradient_scale),
                       .beta1 = static_cast<float>(beta1_),
                       .beta2 = static_cast<float>(beta2_),
                       .fresh1 = static_cast<float>(1.0 - beta1_),
                       .fresh2 = static_cast<float>(1.0 - beta2_),
                       .step_size = static_cast<float>(rates.lr / correction1 * root2),
                       .epsilon = static_cast<float>(epsilon_ * root2),
                       .l2 = 0}};
  apply(rule, layout, rates.l2, row, team);
}

bool all_finite(const at::Tensor& values, ThreadTeam& team) {
  if (!models::fused(values)) return at::isfinite(values).all().item<bool>();
  std::atomic<bool> finite{true};
  const float* numbers = values.const_data_ptr<float>();
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(values.numel(), team.size(), member);
    if (largest_exponent(numbers + share.begin, share.size()) == 0x7F800000u) finite = false;
  });
  return finite;
}

double sum_of_squared_weights(const models::ParameterLayout& layout, const at::Tensor& row) {
  if (!models::fused(row)) {
    auto squares = at::zeros({}, row.options().dtype(at::kDouble));
    for (const auto& parameter : layout.parameters()) {
      if (!parameter.is_weight) continue;
      squares += row.narrow(0, parameter.offset, parameter.count()).to(at::kDouble).square().sum();
    }
    return squares.item<double>();
  }
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
