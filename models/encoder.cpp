#include "models/encoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "models/convolution.h"
#include "models/image_layers.h"

namespace elbow::models {

Encoder::Encoder(ParameterLayout& layout, const VaeShape& shape, int64_t inputs,
                 int64_t joined_layer, int64_t joined_inputs)
    : shape_(shape), joined_layer_(joined_layer), joined_inputs_(joined_inputs) {
  int64_t width = inputs;
  DenseNeighbour neighbour;
  if (shape.image) {
    const auto steps = steps_inwards(*shape.image);
    for (size_t i = 0; i < steps.size(); ++i) {
      convolutions_.push_back(std::make_unique<Convolution>(
          layout, fmt::format("encoder.convolutions.{}", i), steps[i], shape.image->filters[i],
          shape.activation, shape.precision));
    }
    neighbour = {FileLayout::kFromImage, shape.image->filters.back()};
    width = steps.back().patches() * neighbour.channels;
  }
  for (size_t i = 0; i < shape.encoder.size(); ++i) {
    add_dense(layout, width, {{fmt::format("encoder.layers.{}", i), shape.encoder[i]}},
              shape.activation, shape.precision, i == 0 ? neighbour : DenseNeighbour{});
    width = shape.encoder[i];
  }
  const char* scale =
      shape.posterior == PosteriorScale::kLogVariance ? "encoder.log_variance" : "encoder.scale";
  add_dense(layout, width, {{"encoder.mean", shape.latent}, {scale, shape.latent}},
            Activation::kIdentity, Precision::kFloat32,
            shape.encoder.empty() ? neighbour : DenseNeighbour{});
}

void Encoder::add_dense(ParameterLayout& layout, int64_t in,
                        const std::vector<std::pair<std::string, int64_t>>& heads,
                        Activation activation, Precision precision, DenseNeighbour neighbour) {
  const bool joined = std::ssize(dense_) == joined_layer_;
  if (joined) inputs_beside_ = in;
  const bool reads_data = dense_.empty() && convolutions_.empty();
  dense_.push_back(std::make_unique<Linear>(layout, in, heads, activation, precision, neighbour,
                                            joined ? joined_inputs_ : 0,
                                            reads_data && shape_.mostly_zeros));
}

int64_t Encoder::joined_width(const VaeShape& shape, int64_t joined_layer) {
  return joined_layer < std::ssize(shape.encoder) ? shape.encoder[joined_layer] : 2 * shape.latent;
}

at::Tensor Encoder::head(const BoundParameters& parameters, const at::Tensor& x,
                         const at::Tensor& addend) const {
  // The data needs no gradient, but something must, for autograd to record the first layer.
  auto h = x.detach();
  h.requires_grad_(at::GradMode::is_enabled());
  bool input_gradient = false;
  for (const auto& layer : convolutions_) {
    h = layer->forward(parameters, h, input_gradient);
    input_gradient = true;
  }
  for (int64_t i = 0; i < std::ssize(dense_); ++i) {
    h = dense_[i]->forward_with(parameters, h, i == joined_layer_ ? addend : at::Tensor(),
                                input_gradient);
    input_gradient = true;
  }
  return h;
}

}  // namespace elbow::models
