#include "models/condition_path.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

#include "models/bias_activation.h"

namespace elbow::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// y = activation(a) on its own, by the loops of a layer whose bias is 0.
struct ActivationFunction : torch::autograd::Function<ActivationFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& a, int64_t kind) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto none = at::zeros({a.size(0), a.size(2)}, a.options());
    const auto y = add_bias_and_activate(a.clone(), none, static_cast<Activation>(kind));
    context->save_for_backward({y});
    context->saved_data["kind"] = kind;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::AutoDispatchBelowADInplaceOrView plain;
    const auto y = context->get_saved_variables()[0];
    const auto kind = static_cast<Activation>(context->saved_data["kind"].toInt());
    auto unused = at::empty({y.size(0), y.size(2)}, y.options());
    return {activation_backward(gradients[0].contiguous(), y, kind, unused), {}};
  }
};

at::Tensor activated(const at::Tensor& a, Activation kind) {
  return kind == Activation::kIdentity ? a
                                       : ActivationFunction::apply(a, static_cast<int64_t>(kind));
}

}  // namespace

ConditionPath::ConditionPath(ParameterLayout& layout, const VaeShape& shape, const Joins& joins)
    : activation_(shape.activation), features_(joins.features) {
  const auto& condition = *shape.condition;
  const bool add = condition.join == Join::kAdd;
  if (add && joins.encoder_width > 0) encoder_tap_ = condition.encoder_layer - 1;
  if (add && joins.decoder_width > 0) decoder_tap_ = condition.path.size() - 1;
  int64_t width = condition.width;
  for (size_t i = 0; i < condition.path.size(); ++i) {
    layers_.push_back(std::make_unique<Linear>(
        layout, width,
        std::vector{std::pair{fmt::format("condition.layers.{}", i), condition.path[i]}},
        is_tapped(i) ? Activation::kIdentity : shape.activation, shape.precision));
    width = condition.path[i];
  }
  if (add) return;
  if (joins.encoder_width > 0) {
    to_encoder_ =
        std::make_unique<Projection>(layout, "encoder.condition", width, joins.encoder_width,
                                     joins.encoder_inputs, shape.precision);
  }
  if (joins.decoder_width > 0) {
    to_decoder_ =
        std::make_unique<Projection>(layout, "decoder.condition", width, joins.decoder_width,
                                     joins.decoder_inputs, shape.precision);
  }
}

bool ConditionPath::is_tapped(size_t layer) const {
  return layer == encoder_tap_ || layer == decoder_tap_;
}

int64_t ConditionPath::features(const ConditionShape& shape) {
  return shape.path.empty() ? shape.width : shape.path.back();
}

ConditionFeatures ConditionPath::run(const BoundParameters& parameters,
                                     const at::Tensor& condition) const {
  ConditionFeatures out;
  auto h = condition.detach();  // needs no gradient, but something must (encoder.cpp)
  h.requires_grad_(at::GradMode::is_enabled());
  bool input_gradient = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    h = layers_[i]->forward(parameters, h, input_gradient);
    input_gradient = true;
    if (i == encoder_tap_) out.to_encoder = h;
    if (i == decoder_tap_) out.to_decoder = h;
    const bool read_on = i + 1 < layers_.size() || features_;
    if (is_tapped(i) && read_on) h = activated(h, activation_);
  }
  if (to_encoder_) out.to_encoder = to_encoder_->forward(parameters, h, input_gradient);
  if (to_decoder_) out.to_decoder = to_decoder_->forward(parameters, h, input_gradient);
  out.last = h;
  return out;
}

std::string misfit_of(const VaeShape& shape, bool with_encoder) {
  const auto& condition = *shape.condition;
  if (condition.join != Join::kAdd) return "";
  const auto& path = condition.path;
  if (path.empty())
    return "model.join = add adds layers of the condition's path, and model.path has none: give it "
           "widths, or take model.join=concat";
  if (shape.decoder.empty() || shape.decoder[0] != path.back()) {
    return fmt::format(
        "model.join = add adds the last layer of model.path, of width {}, to the decoder's first, "
        "{}: make them equal, or take model.join=concat",
        path.back(),
        shape.decoder.empty() ? "which is not there" : fmt::format("of {}", shape.decoder[0]));
  }
  const int64_t layer = condition.encoder_layer;
  if (!with_encoder || !condition.into_encoder) return "";
  if (layer > std::ssize(path) || layer > std::ssize(shape.encoder)) {
    return fmt::format(
        "model.join_layer = {} is more than the {} layers of model.path or the {} of "
        "model.encoder: "
        "choose a layer that both have",
        layer, path.size(), shape.encoder.size());
  }
  if (path[layer - 1] == shape.encoder[layer - 1]) return "";
  return fmt::format(
      "model.join = add adds layer {} of model.path, of width {}, to the encoder's layer {}, of "
      "{}: "
      "make them equal, choose another model.join_layer, or take model.join=concat",
      layer, path[layer - 1], layer, shape.encoder[layer - 1]);
}

}  // namespace elbow::models
