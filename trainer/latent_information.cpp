#include "trainer/latent_information.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/elementwise.h"
#include "models/simd.h"
#include "trainer/leaves.h"
#include "trainer/split_sum.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kLanes = 16;  // partial sums in fixed lanes: the same bits for any vector width

// out[j] = log N(z; mean[j], scale[j]) without its constant -log sqrt(2 pi), and joint[j] +=
// out[j].
ELBOW_SIMD void add_log_densities(float z, const float* __restrict mean,
                                  const float* __restrict inverse_scale,
                                  const float* __restrict log_scale, int64_t count,
                                  float* __restrict out, float* __restrict joint) {
  for (int64_t j = 0; j < count; ++j) {
    const float u = (z - mean[j]) * inverse_scale[j];
    const float value = -0.5f * u * u - log_scale[j];
    out[j] = value;
    joint[j] += value;
  }
}

ELBOW_SIMD float largest_of(const float* values, int64_t count) {
  float lane[kLanes];
  std::fill_n(lane, kLanes, -std::numeric_limits<float>::infinity());
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l)
      lane[l] = values[j + l] > lane[l] ? values[j + l] : lane[l];
  }
  for (int64_t l = 0; j < count; ++j, ++l) lane[l] = values[j] > lane[l] ? values[j] : lane[l];
  float largest = lane[0];
  for (const float value : lane) largest = value > largest ? value : largest;
  return largest;
}

ELBOW_SIMD float sum_of_exp(const float* values, float largest, int64_t count) {
  float lane[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += models::exp_of(values[j + l] - largest);
  }
  for (int64_t l = 0; j < count; ++j, ++l) lane[l] += models::exp_of(values[j] - largest);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

double log_mean_exp(const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  const float largest = largest_of(values.data(), count);
  const float sum = sum_of_exp(values.data(), largest, count);
  return largest + std::log(static_cast<double>(sum) / static_cast<double>(count));
}

// The posteriors of all examples, unit by unit: [latent, examples].
struct Components {
  at::Tensor mean, inverse_scale, log_scale;

  explicit Components(const Codes& codes)
      : mean(codes.mean.t().contiguous()),
        inverse_scale(codes.scale.reciprocal().t().contiguous()),
        log_scale(codes.scale.to(at::kDouble).log().to(at::kFloat).t().contiguous()) {}
};

// Logarithms, for one z, all without the constant -latent/2 log(2 pi): of q(z | x), q(z), prod_l
// q(z_l) and p(z).
struct LogDensities {
  double own, aggregated, units, prior;
};

LogDensities densities_at(const Components& components, const float* z, int64_t i) {
  const int64_t latent = components.mean.size(0), count = components.mean.size(1);
  std::vector<float> unit(count), joint(count, 0.0f);
  LogDensities result{};
  for (int64_t l = 0; l < latent; ++l) {
    add_log_densities(z[l], components.mean.const_data_ptr<float>() + l * count,
                      components.inverse_scale.const_data_ptr<float>() + l * count,
                      components.log_scale.const_data_ptr<float>() + l * count, count, unit.data(),
                      joint.data());
    result.own += unit[i];
    result.units += log_mean_exp(unit);
    result.prior -= 0.5 * static_cast<double>(z[l]) * z[l];
  }
  result.aggregated = log_mean_exp(joint);
  return result;
}

}  // namespace

int64_t information_examples(int64_t examples, int64_t latent) {
  constexpr double kMostExponentials = 2e10;
  const auto affordable =
      static_cast<int64_t>(std::sqrt(kMostExponentials / static_cast<double>(latent)));
  return std::min({examples, int64_t{10000}, affordable});
}

LatentInformation latent_information(const Codes& codes, const at::Tensor& noise,
                                     comm::Communicator& ranks, ThreadTeam& team) {
  const int64_t examples = codes.mean.size(0), latent = codes.mean.size(1);
  const Components components(codes);
  const auto z = codes.mean + codes.scale * noise;
  const auto range = part_of(examples, ranks.size(), ranks.rank());
  auto own = at::empty({range.size(), 3}, at::kDouble);
  double* out = own.mutable_data_ptr<double>();
  team.run(range.size(), [&](int64_t i) {
    const int64_t example = range.begin + i;
    const auto log =
        densities_at(components, z.const_data_ptr<float>() + example * latent, example);
    out[3 * i] = log.own - log.aggregated;
    out[3 * i + 1] = log.aggregated - log.units;
    out[3 * i + 2] = log.units - log.prior;
  });
  const auto values = gather_parts(examples, own, ranks);
  const double* value = values.const_data_ptr<double>();
  const auto n = static_cast<double>(examples);
  LatentInformation result{.examples = examples, .mutual_bound = std::log(n)};
  for (int64_t i = 0; i < examples; ++i) {
    result.mutual_nats += value[3 * i] / n;
    result.total_correlation_nats += value[3 * i + 1] / n;
    result.unit_kl_nats += value[3 * i + 2] / n;
  }
  return result;
}

}  // namespace elbow::trainer
