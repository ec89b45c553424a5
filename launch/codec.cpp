#include "launch/codec.h"

#include <ATen/ATen.h>

#include <numeric>
#include <vector>

namespace elbow::launch {
namespace {

constexpr int64_t kPiece = 1000;  // examples at a time

}  // namespace

Codec::Codec(const models::Model& model, const at::Tensor& parameters,
             const trainer::BatchRequest& request)
    : model_(model),
      parameters_(model.layout(), parameters, /*gradients=*/{},
                  model.precision() == models::Precision::kBfloat16 ? parameters.to(at::kBFloat16)
                                                                    : at::Tensor()),
      request_(request),
      device_(parameters.device()) {
  if (request_.binarise == trainer::Binarise::kStochastic)
    request_.binarise = trainer::Binarise::kStatic;
}

at::Tensor Codec::examples(const trainer::Split& split, int64_t begin, int64_t count) const {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), begin);
  auto request = request_;
  request.first_index = static_cast<uint32_t>(split.first_index);
  auto x = at::empty({count, model_.observed()});
  trainer::gather(split, indices, request, x);
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

}  // namespace elbow::launch
