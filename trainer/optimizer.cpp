#include "trainer/optimizer.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "models/forms.h"
#include "models/loops.h"
#include "models/simd.h"
#include "trainer/gradient_norm.h"
#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

// A rule is one update's constants, and its formula twice: as a loop over one stretch of a row, and
// in ATen operations on any device. decay: 2 l2 for weights, 0 for biases.

at::Tensor full_gradient(const at::Tensor& w, const at::Tensor& g, float scale, float decay) {
  const auto scaled = scale == 1 ? g : scale * g;
  return decay == 0 ? scaled : scaled + decay * w;
}

// Weights and states of one stretch, before and after, which may be the same memory.
struct Stretch {
  const float *w, *s;
  float *next_w, *next_s;
};

ELBOW_SIMD void rmsprop_loop(const Stretch& at, const float* g, int64_t count, float scale,
                             float lr, float rho, float epsilon, float l2) {
  const float fresh = 1.0f - rho;
  const auto [w, s, next_w, next_s] = at;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = scale * g[i] + l2 * w[i];
    const float square = rho * s[i] + fresh * (gradient * gradient);
    next_s[i] = square;
    next_w[i] = w[i] - lr * gradient / (std::sqrt(square) + epsilon);
  }
}

struct RmspropRule {
  float scale, lr, rho, epsilon;

  void loop(const Stretch& at, int64_t /*size*/, const float* g, int64_t count, float decay) const {
    rmsprop_loop(at, g, count, scale, lr, rho, epsilon, decay);
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

// size: from a first moment to its second.
ELBOW_SIMD void adam_loop(const Stretch& at, int64_t size, const float* g, int64_t count,
                          const AdamNumbers& n) {
  const AdamNumbers k = n;
  const auto [w, m, next_w, next_m] = at;
  const float* v = m + size;
  float* next_v = next_m + size;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = k.scale * g[i] + k.l2 * w[i];
    const float first = m[i] + k.fresh1 * (gradient - m[i]);
    const float second = k.beta2 * v[i] + k.fresh2 * (gradient * gradient);
    next_m[i] = first;
    next_v[i] = second;
    next_w[i] = w[i] - k.step_size * (first / (std::sqrt(second) + k.epsilon));
  }
}

struct AdamRule {
  AdamNumbers k;

  void loop(const Stretch& at, int64_t size, const float* g, int64_t count, float decay) const {
    auto numbers = k;
    numbers.l2 = decay;
    adam_loop(at, size, g, count, numbers);
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

// All of a row, in place, where ATen does it.
template <class Rule>
void apply(const Rule& rule, const models::ParameterLayout& layout, double l2,
           const at::Tensor& gradient, const at::Tensor& parameters, const at::Tensor& state) {
  for_each_decay(layout, l2, {0, layout.size()}, [&](const Range& range, float decay) {
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(-1, range.begin, range.size());
    };
    rule.aten(part(parameters), part(state), part(gradient), decay);
  });
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

// Calls use(rule) with the rule of this optimizer at these rates.
template <class Use>
void Optimizer::with_rule(const UpdateRates& rates, const Use& use) const {
  const auto scale = static_cast<float>(rates.gradient_scale);
  if (!adam_) {
    return use(RmspropRule{.scale = scale,
                           .lr = static_cast<float>(rates.lr),
                           .rho = static_cast<float>(rho_),
                           .epsilon = static_cast<float>(epsilon_)});
  }
  const double t = static_cast<double>(rates.step + 1);
  const double correction1 = 1.0 - std::pow(beta1_, t);
  const double root2 = std::sqrt(1.0 - std::pow(beta2_, t));
  use(AdamRule{{.scale = scale,
                .beta1 = static_cast<float>(beta1_),
                .beta2 = static_cast<float>(beta2_),
                .fresh1 = static_cast<float>(1.0 - beta1_),
                .fresh2 = static_cast<float>(1.0 - beta2_),
                .step_size = static_cast<float>(rates.lr / correction1 * root2),
                .epsilon = static_cast<float>(epsilon_ * root2),
                .l2 = 0}});
}

void Optimizer::update_columns(const models::ParameterLayout& layout, const UpdateRates& rates,
                               const Range& columns, const float* gradient, const Place& from,
                               const Place& to) const {
  with_rule(rates, [&](const auto& rule) {
    for_each_decay(layout, rates.l2, columns, [&](const Range& range, float decay) {
      const Stretch stretch{from.parameters + range.begin, from.state + range.begin,
                            to.parameters + range.begin, to.state + range.begin};
      rule.loop(stretch, layout.size(), gradient + (range.begin - columns.begin), range.size(),
                decay);
    });
  });
}

void Optimizer::update(const models::ParameterLayout& layout, const UpdateRates& rates,
                       const at::Tensor& gradient, at::Tensor parameters, at::Tensor state,
                       ThreadTeam& team) const {
  if (!models::fused(parameters)) {
    return with_rule(rates, [&](const auto& rule) {
      apply(rule, layout, rates.l2, gradient, parameters, state);
    });
  }
  const Place place{parameters.mutable_data_ptr<float>(), state.mutable_data_ptr<float>()};
  const float* g = gradient.const_data_ptr<float>();
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(layout.size(), team.size(), member);
    update_columns(layout, rates, share, g + share.begin, place, place);
  });
}

bool all_finite(const float* values, int64_t count) {
  return models::loops::largest_magnitude(values, count) <= std::numeric_limits<float>::max();
}

bool all_finite(const float* values, int64_t count, ThreadTeam& team) {
  constexpr int64_t kWorthSharing = 1 << 14;
  if (count < kWorthSharing) return all_finite(values, count);
  std::atomic<bool> finite{true};
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(count, team.size(), member);
    if (!all_finite(values + share.begin, share.size())) finite = false;
  });
  return finite;
}

bool all_finite(const at::Tensor& values, ThreadTeam& team) {
  if (!models::fused(values)) return at::isfinite(values).all().item<bool>();
  return all_finite(values.const_data_ptr<float>(), values.numel(), team);
}

double sum_of_squared_weights(const models::ParameterLayout& layout, const at::Tensor& row,
                              ThreadTeam& team) {
  double sum = 0;
  for (const auto& parameter : layout.parameters()) {
    if (parameter.is_weight)
      sum += sum_of_squares(row.narrow(0, parameter.offset, parameter.count()), team);
  }
  return sum;
}

}  // namespace elbow::trainer
