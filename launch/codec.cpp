#include "launch/codec.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "models/noise.h"
#include "trainer/evaluation.h"

namespace elbow::launch {
namespace {

constexpr int64_t kPiece = 1000;  // examples at a time

// [count, numbers] as the model takes it.
at::Tensor piece_of(const at::Tensor& values, int64_t begin, int64_t size, at::Device device) {
  return values.defined() ? values.narrow(0, begin, size).unsqueeze(0).contiguous().to(device)
                          : values;
}

}  // namespace

Codec::Codec(const models::Model& model, const at::Tensor& parameters,
             const trainer::BatchRequest& request, trainer::ConditionPlan condition)
    : model_(model),
      parameters_(trainer::bound_for_measuring(model, parameters)),
      request_(request),
      condition_(std::move(condition)),
      device_(parameters.device()) {}

Pairs Codec::examples(const trainer::Split& split, int64_t begin, int64_t count) const {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), begin);
  Pairs pairs{.x = at::empty({count, model_.observed()}), .condition = {}};
  if (condition_.width > 0) pairs.condition = at::empty({count, condition_.width});
  trainer::gather_pair(split, indices, trainer::measured_request(split, request_), condition_,
                       pairs.x, pairs.condition);
  return pairs;
}

Posteriors Codec::encode(const Pairs& pairs) const {
  std::vector<at::Tensor> means, scales;
  const int64_t count = pairs.x.size(0);
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t size = std::min(kPiece, count - begin);
    const auto posterior = model_.encode(parameters_, piece_of(pairs.x, begin, size, device_),
                                         piece_of(pairs.condition, begin, size, device_));
    means.push_back(posterior.mean.select(0, 0).cpu());
    scales.push_back(posterior.scale.select(0, 0).cpu());
  }
  return {at::cat(means), at::cat(scales)};
}

at::Tensor Codec::decode(const at::Tensor& z, const at::Tensor& condition) const {
  std::vector<at::Tensor> images;
  for (int64_t begin = 0; begin < z.size(0); begin += kPiece) {
    const int64_t size = std::min(kPiece, z.size(0) - begin);
    images.push_back(model_
                         .decode(parameters_, piece_of(z, begin, size, device_),
                                 piece_of(condition, begin, size, device_))
                         .select(0, 0)
                         .cpu());
  }
  return whole({at::cat(images), condition});
}

at::Tensor Codec::whole(const Pairs& pairs) const {
  return trainer::whole_pictures(condition_, pairs.x, pairs.condition);
}

at::Tensor Codec::given(const at::Tensor& pictures) const {
  auto shown = at::full_like(pictures, 0.5);
  const auto places = at::tensor(condition_.given, at::kLong);
  return shown.index_copy_(1, places, pictures.index_select(1, places));
}

at::Tensor Codec::prior_draws(uint64_t seed, int64_t count) const {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  auto z = at::empty({count, model_.latent()});
  models::fill_normal({seed, models::Purpose::kPriorSamples, /*time=*/0}, numbers, z);
  return z;
}

}  // namespace elbow::launch
