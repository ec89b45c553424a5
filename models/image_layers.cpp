#include "models/image_layers.h"

#include <ATen/ATen.h>

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

at::Tensor by_position(const at::Tensor& planes, const ImageShape& image) {
  const auto shaped = planes.view({planes.size(0), planes.size(1), image.colours, -1});
  return shaped.transpose(2, 3).reshape(planes.sizes());
}

at::Tensor by_plane(const at::Tensor& positions, const ImageShape& image) {
  const auto shaped = positions.view({positions.size(0), positions.size(1), -1, image.colours});
  return shaped.transpose(2, 3).reshape(positions.sizes());
}

}  // namespace elbow::models
