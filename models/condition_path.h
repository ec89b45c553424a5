// The condition's own layers, and what encoder, decoder and prior get of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "models/linear.h"
#include "models/model.h"

namespace elbow::models {

// What a condition gives. Undefined where it gives nothing to that side.
struct ConditionFeatures {
  at::Tensor to_encoder;  // [rows, batch, joined width], to be added before the activation
  at::Tensor to_decoder;  // the same
  at::Tensor last;        // [rows, batch, features], of the path's last layer, or c itself
};

class ConditionPath {
 public:
  // Who wants something of the path.
  struct Joins {
    int64_t encoder_width = 0;  // of the layer that it joins; 0: none
    int64_t encoder_inputs = 0;
    int64_t decoder_width = 0;
    int64_t decoder_inputs = 0;
    bool features = false;  // somebody reads `last`
  };

  // Adds condition.layers.* and, to concatenate, encoder.condition and decoder.condition.
  ConditionPath(ParameterLayout& layout, const VaeShape& shape, const Joins& joins);

  // condition: [rows, batch, width].
  ConditionFeatures run(const BoundParameters& parameters, const at::Tensor& condition) const;

  // Numbers of ConditionFeatures::last.
  static int64_t features(const ConditionShape& shape);

 private:
  bool is_tapped(size_t layer) const;

  Activation activation_;
  size_t encoder_tap_ = SIZE_MAX, decoder_tap_ = SIZE_MAX;  // layers whose pre-activation is added
  bool features_;
  std::vector<std::unique_ptr<Linear>> layers_;  // tapped ones are linear
  std::unique_ptr<Projection> to_encoder_, to_decoder_;
};

// The sentence for a user whose kAdd joins layers of different widths, or none; empty where all
// fits.
std::string misfit_of(const VaeShape& shape, bool with_encoder);

}  // namespace elbow::models
