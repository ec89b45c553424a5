#include "models/decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "models/convolution.h"
#include "models/image_layers.h"
#include "models/likelihood.h"

namespace elbow::models {

Decoder::Decoder(ParameterLayout& layout, const VaeShape& shape, int64_t inputs,
                 const std::vector<int64_t>& hidden, int64_t joined_inputs)
    : shape_(shape) {
  int64_t width = inputs;
  int64_t joined = joined_inputs;
  for (size_t i = 0; i < hidden.size(); ++i) {
    dense_.push_back(std::make_unique<Linear>(
        layout, width, std::vector{std::pair{fmt::format("decoder.layers.{}", i), hidden[i]}},
        shape.activation, shape.precision, DenseNeighbour{}, joined));
    width = hidden[i];
    joined = 0;
  }
  if (shape.image) {
    add_image(layout, width, joined);
  } else {
    dense_.push_back(std::make_unique<Linear>(
        layout, width, std::vector{std::pair{std::string("decoder.output"), shape.observed}},
        Activation::kIdentity, shape.precision, DenseNeighbour{}, joined));
  }
  if (shape.likelihood == Likelihood::kGaussianLearned) {
    log_sigma_ = layout.add({.shape = {1},
                             .is_weight = false,
                             .fan_in = 1,
                             .parts = {{"decoder.log_sigma", 0, 1}},
                             .start = std::log(shape.sigma)});
  }
}

void Decoder::add_image(ParameterLayout& layout, int64_t width, int64_t joined) {
  const auto& image = *shape_.image;
  const auto steps = steps_inwards(image);
  dense_.push_back(std::make_unique<Linear>(
      layout, width,
      std::vector{std::pair{std::string("decoder.features"),
                            steps.back().patches() * image.filters.back()}},
      shape_.activation, shape_.precision,
      DenseNeighbour{FileLayout::kToImage, image.filters.back()}, joined));
  int64_t channels = image.filters.back();
  for (size_t i = 0; i < steps.size(); ++i) {
    auto step = steps[steps.size() - 1 - i];
    step.channels = image.filters[steps.size() - 1 - i];  // as many as that convolution gave
    convolutions_.push_back(std::make_unique<TransposedConvolution>(
        layout, fmt::format("decoder.convolutions.{}", i), channels, step, shape_.activation,
        shape_.precision));
    channels = step.channels;
  }
  // Transposed, because then a position has kernel^2 * colours numbers on the way, not kernel^2 *
  // channels.
  convolutions_.push_back(
      std::make_unique<TransposedConvolution>(layout, "decoder.output", channels, last_step(image),
                                              Activation::kIdentity, shape_.precision));
}

int64_t Decoder::joined_width(const VaeShape& shape) {
  if (!shape.decoder.empty()) return shape.decoder[0];
  if (!shape.image) return shape.observed;
  return steps_inwards(*shape.image).back().patches() * shape.image->filters.back();
}

at::Tensor Decoder::output(const BoundParameters& parameters, const at::Tensor& z,
                           const at::Tensor& addend) const {
  auto h = z;
  for (size_t i = 0; i < dense_.size(); ++i) {
    h = dense_[i]->forward_with(parameters, h, i == 0 ? addend : at::Tensor(),
                                /*input_gradient=*/true);
  }
  for (const auto& layer : convolutions_)
    h = layer->forward(parameters, h, /*input_gradient=*/true);
  if (!shape_.image || !shape_.condition || shape_.condition->target.empty()) return h;
  return h.index_select(2, at::tensor(shape_.condition->target, h.options().dtype(at::kLong)));
}

int Decoder::output_bias() const {
  return convolutions_.empty() ? dense_.back()->bias() : convolutions_.back()->bias();
}

at::Tensor Decoder::output_bias_for(const at::Tensor& pixel_means) const {
  const auto means =
      shape_.image ? pixel_means.view({-1, shape_.image->colours}).mean(0) : pixel_means;
  return output_for_mean(shape_.likelihood, means);
}

at::Tensor Decoder::nats(const BoundParameters& parameters, const at::Tensor& output,
                         const at::Tensor& x) const {
  switch (shape_.likelihood) {
    case Likelihood::kBernoulli:
      return bernoulli_nats(output, x);
    case Likelihood::kContinuousBernoulli:
      return continuous_bernoulli_nats(output, x);
    case Likelihood::kGaussian:
      return gaussian_nats(output, x, shape_.sigma);
    case Likelihood::kGaussianLearned:
      return gaussian_nats(output, x, parameters.value(log_sigma_),
                           parameters.gradient(log_sigma_));
    case Likelihood::kGaussianOptimal:
      break;
  }
  return half_squared_error(output, x);
}

}  // namespace elbow::models
