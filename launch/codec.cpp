#include "launch/codec.h"

#include <ATen/ATen.h>

#include <numeric>
#include <vector>

#include "models/noise.h"
#include "trainer/evaluation.h"

namespace elbow::launch {
namespace {

constexpr int64_t kPiece = 1000;  // examples at a time

}  // namespace

Codec::Codec(const models::Model& model, const at::Tensor& parameters,
             const trainer::BatchRequest& request)
    : model_(model),
      parameters_(trainer::bound_for_measuring(model, parameters)),
      request_(request),
      device_(parameters.device()) {}

at::Tensor Codec::examples(const trainer::Split& split, int64_t begin, int64_t count) const {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), begin);
  auto x = at::empty({count, model_.observed()});
  trainer::gather(split, indices, trainer::measured_request(split, request_), x);
  return x;
}

Posteriors Codec::encode(const at::Tensor& x) const {
  std::vector<at::Tensor> means, scales;
  for (const auto& piece : x.split(kPiece)) {
    const auto posterior = model_.encode(parameters_, piece.unsqueeze(0).to(device_));
    means.push_back(posterior.mean.select(0, 0).cpu());
    scales.push_back(posterior.scale.select(0, 0).cpu());
  }
  return {at::cat(means), at::cat(scales)};
}

at::Tensor Codec::decode(const at::Tensor& z) const {
  std::vector<at::Tensor> images;
  for (const auto& piece : z.split(kPiece)) {
    images.push_back(
        model_.decode(parameters_, piece.unsqueeze(0).contiguous().to(device_)).select(0, 0).cpu());
  }
  return at::cat(images);
}

at::Tensor Codec::prior_draws(uint64_t seed, int64_t count) const {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  auto z = at::empty({count, model_.latent()});
  models::fill_normal({seed, models::Purpose::kPriorSamples, /*time=*/0}, numbers, z);
  return z;
}

}  // namespace elbow::launch
