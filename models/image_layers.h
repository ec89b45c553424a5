// What the convolutions of encoder and decoder read.
#pragma once

#include <vector>

#include "models/model.h"
#include "models/patches.h"

namespace elbow::models {

// What each convolution of the encoder reads, from the image inwards.
std::vector<PatchShape> steps_inwards(const ImageShape& image);

// What the decoder's last convolution gives: the image, at stride 1. Only an odd kernel keeps the
// size.
PatchShape last_step(const ImageShape& image);

}  // namespace elbow::models
