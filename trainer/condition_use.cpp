#include "trainer/condition_use.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "models/noise.h"
#include "models/permutation.h"
#include "trainer/leaves.h"
#include "trainer/split_sum.h"

namespace elbow::trainer {
namespace {

// One cycle through all examples.
std::vector<int64_t> partners_of(int64_t examples) {
  const models::Permutation order(/*seed=*/0, /*epoch=*/0, static_cast<uint64_t>(examples));
  std::vector<int64_t> partners(examples);
  for (int64_t i = 0; i < examples; ++i) {
    partners[static_cast<int64_t>(order(static_cast<uint64_t>(i)))] =
        static_cast<int64_t>(order(static_cast<uint64_t>((i + 1) % examples)));
  }
  return partners;
}

}  // namespace

ConditionUse condition_use(const EvaluationParts& parts, const Row& row,
                           const at::Tensor& parameters, int64_t examples, int64_t samples,
                           comm::Communicator& ranks, ThreadTeam& team) {
  const auto own = importance_nll(parts, row, parameters, examples, samples, ranks, team);
  const auto other = importance_nll(parts, row, parameters, examples, samples, ranks, team,
                                    {.partners = partners_of(examples)});
  const auto gains = (own.values.select(1, 0) - other.values.select(1, 0)).contiguous();
  const double* gain = gains.const_data_ptr<double>();
  const auto n = static_cast<double>(examples);
  ConditionUse use{.examples = examples, .samples = samples};
  for (int64_t i = 0; i < examples; ++i) use.nats += gain[i] / n;
  double squares = 0;
  for (int64_t i = 0; i < examples; ++i) squares += (gain[i] - use.nats) * (gain[i] - use.nats);
  use.standard_error = std::sqrt(squares / (n - 1) / n);
  return use;
}

double sample_diversity(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                        int64_t examples, comm::Communicator& ranks, ThreadTeam& team) {
  const auto bound = bound_for_measuring(parts.model, parameters);
  const auto device = parameters.device();
  const auto range = part_of(examples, ranks.size(), ranks.rank());
  auto own = at::empty({range.size(), 1}, at::kDouble);
  double* out = own.mutable_data_ptr<double>();
  team.run(range.size(), [&](int64_t i) {
    const int64_t index = range.begin + i, global = parts.data.first_index + index;
    const auto condition = on_device(pairs_of(parts, {&index, 1}), device).condition;
    const auto z = at::empty({1, 2, parts.model.latent()});
    models::fill_normal({row.seed, models::Purpose::kPriorSamples, /*time=*/1}, {&global, 1},
                        z.select(0, 0), /*draws=*/2);
    const auto pictures = parts.model.decode(bound, z.to(device), condition).select(0, 0).cpu();
    out[i] = (pictures[0] - pictures[1]).abs().sum(at::kDouble).item<double>();
  });
  const auto all = gather_parts(examples, own, ranks);
  const double* value = all.const_data_ptr<double>();
  double sum = 0;
  for (int64_t i = 0; i < examples; ++i) sum += value[i];
  return sum / static_cast<double>(examples);
}

}  // namespace elbow::trainer
