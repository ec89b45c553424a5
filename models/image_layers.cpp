#include "models/image_layers.h"

namespace elbow::models {

std::vector<PatchShape> steps_inwards(const ImageShape& image) {
  std::vector<PatchShape> steps;
  PatchShape step{image.height, image.width, image.colours, image.kernel, /*stride=*/2};
  for (const int64_t filters : image.filters) {
    steps.push_back(step);
    step = {step.patch_rows(), step.patch_columns(), filters, image.kernel, /*stride=*/2};
  }
  return steps;
}

PatchShape last_step(const ImageShape& image) {
  const int64_t odd = image.kernel - 1 + image.kernel % 2;
  return {image.height, image.width, image.colours, odd, /*stride=*/1};
}

}  // namespace elbow::models
