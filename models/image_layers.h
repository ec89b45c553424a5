// What the convolutions of encoder and decoder read.
#pragma once

#include <vector>

#include "models/model.h"
#include "models/patches.h"

namespace elbow::models {

// What each convolution of the encoder reads, from the image inwards.
std::vector<PatchShape> steps_inwards(const ImageShape& image);

}  // namespace elbow::models
