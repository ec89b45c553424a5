// What the convolutions of encoder and decoder read, and the two orders of a colour image's
// numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/model.h"
#include "models/patches.h"

namespace elbow::models {

// What each convolution of the encoder reads, from the image inwards.
std::vector<PatchShape> steps_inwards(const ImageShape& image);

inline bool has_colours(const VaeShape& shape) { return shape.image && shape.image->colours > 1; }

// [rows, batch, numbers]: planes of colours one after another, as examples are, into the layers'
// order, and back.
at::Tensor by_position(const at::Tensor& planes, const ImageShape& image);
at::Tensor by_plane(const at::Tensor& positions, const ImageShape& image);

}  // namespace elbow::models
