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

}  // namespace elbow::models
