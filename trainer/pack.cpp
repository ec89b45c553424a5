#include "trainer/pack.h"

#include <ATen/ATen.h>

namespace elbow::trainer {

models::LossWeights loss_weights(const Row& row, double scale) {
  return {.kl_weight = row.beta * models::annealing(row.anneal, row.step),
          .scale = scale,
          .capacity = models::capacity_nats(row.capacity, row.step),
          .free_bits = row.free_bits,
          .sigma_weight = row.sigma_weight};
}

models::ObjectiveContext context_of(const models::LossWeights& weights, int64_t batch_size,
                                    at::Device device) {
  const auto kind = at::TensorOptions(at::kDouble).device(device);
  const auto number = [&](double value) { return at::full({1}, value, kind); };
  models::ObjectiveContext context{.kl_weight = number(weights.kl_weight),
                                   .scale = number(weights.scale),
                                   .batch_size = batch_size,
                                   .statistics = {},
                                   .capacity = number(weights.capacity),
                                   .free_bits = number(weights.free_bits)};
  if (weights.sigma_weight != 0) context.sigma_weight = number(weights.sigma_weight);
  return context;
}

}  // namespace elbow::trainer
