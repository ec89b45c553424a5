#include "tests/support/small_checkpoint.h"

#include <ATen/ATen.h>

#include <cstring>
#include <limits>

#include "models/philox.h"
#include "trainer/metric_sums.h"

namespace elbow::tests {
namespace {

models::ParameterLayout two_layers() {
  models::ParameterLayout layout;
  layout.add({.shape = {2, 3}, .is_weight = true, .fan_in = 2, .parts = {{"a.weight", 0, 3}}});
  layout.add({.shape = {4}, .is_weight = false, .fan_in = 2, .parts = {{"b.bias", 0, 4}}});
  return layout;
}

// Any bits in the places of parameters, 0 in the gaps between them.
at::Tensor numbers(const models::ParameterLayout& layout, uint64_t seed, uint32_t draw) {
  auto row = at::zeros({layout.size()});
  auto* out = row.mutable_data_ptr<float>();
  for (const auto& parameter : layout.parameters()) {
    for (int64_t i = parameter.offset; i < parameter.offset + parameter.count(); ++i) {
      const models::StreamKey key{seed, models::Purpose::kSyntheticData, 0,
                                  static_cast<uint32_t>(i), draw};
      const auto word = models::random_block(key, 0).word[0];
      std::memcpy(out + i, &word, sizeof word);
    }
  }
  return row;
}

trainer::SplitMetrics some_metrics(double value) {
  trainer::SplitMetrics metrics{.split = "test", .epoch = 3, .step = 12, .examples = 75};
  metrics.loss = value;
  metrics.elbo_nats = -0.1 - value;
  metrics.kl_nats = std::numeric_limits<double>::quiet_NaN();
  metrics.sigma_min = 1e-300;
  return metrics;
}

}  // namespace

const trainer::TensorNames& small_names() {
  static const models::ParameterLayout layout = two_layers();
  static const trainer::TensorNames names{layout, {"first_moment", "second_moment"}};
  return names;
}

trainer::Checkpoint small_checkpoint(int64_t step, int64_t rows, uint64_t seed) {
  const auto& layout = small_names().layout;
  trainer::Checkpoint checkpoint;
  checkpoint.snapshot.batch = 2;
  checkpoint.snapshot.epoch_seconds = 0.1 + static_cast<double>(step);
  checkpoint.identity = {.settings = {{"train.seed", "1"}, {"data.dir", "a \"b\"\xff"}},
                         .exact_settings = {{"leaves", "4"}},
                         .data_sha256 = {"abc", ""}};
  for (int64_t k = 0; k < rows; ++k) {
    const uint64_t own = seed * 1000 + static_cast<uint64_t>(k);
    trainer::RowSnapshot row{.seed = ~uint64_t{0} - own,
                             .beta = 0.784,
                             .lr = std::numeric_limits<double>::infinity(),
                             .rate_factor = 1.0 / 3,
                             .epoch = 1,
                             .step = step,
                             .sums = std::vector<double>(trainer::kMetricSums, 0.1 * (k + 1))};
    row.sums[1] = std::numeric_limits<double>::quiet_NaN();
    row.sums[2] = -std::numeric_limits<double>::infinity();
    row.parameters = numbers(layout, own, 0);
    row.state = at::stack({numbers(layout, own, 1), numbers(layout, own, 2)});
    checkpoint.snapshot.rows.push_back(row);
    checkpoint.progress.push_back({.epochs_done = 1,
                                   .final_metrics = {some_metrics(0.3), some_metrics(0.7)},
                                   .best = some_metrics(1e-17),
                                   .train_seconds = 3.25,
                                   .train_examples = 75,
                                   .seconds = 4,
                                   .rollbacks = 2,
                                   .warnings = {"rolled back"},
                                   .metrics_bytes = 4711});
  }
  return checkpoint;
}

bool same(const trainer::Checkpoint& a, const trainer::Checkpoint& b) {
  const auto bits = [](const at::Tensor& values) { return values.contiguous().view(at::kInt); };
  if (trainer::state_text(a) != trainer::state_text(b)) return false;
  for (size_t k = 0; k < a.snapshot.rows.size(); ++k) {
    const auto& left = a.snapshot.rows[k];
    const auto& right = b.snapshot.rows[k];
    if (!at::equal(bits(left.parameters), bits(right.parameters))) return false;
    if (!at::equal(bits(left.state), bits(right.state))) return false;
  }
  return true;
}

}  // namespace elbow::tests
