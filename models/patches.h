// The patches of images that a convolution sees, and their way back. Images lie position by
// position: [rows, batch, height * width * channels], channels last, so that each line of a patch
// is one run of memory. Not seen by autograd. Each of the two is the other's adjoint.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace elbow::models {

struct PatchShape {
  int64_t height, width, channels;  // of the image
  int64_t kernel;                   // side of a patch
  int64_t stride;

  int64_t padding() const { return (kernel - 1) / 2; }  // zeros on each side
  int64_t patch_rows() const { return (height + 2 * padding() - kernel) / stride + 1; }
  int64_t patch_columns() const { return (width + 2 * padding() - kernel) / stride + 1; }
  int64_t patches() const { return patch_rows() * patch_columns(); }  // of an image
  int64_t numbers() const { return kernel * kernel * channels; }      // of a patch
};

// images: [rows, batch, height * width * channels], contiguous.   Returns [rows, batch * patches,
// numbers].
at::Tensor extract_patches(const at::Tensor& images, const PatchShape& shape);

// Adds patches into images where they came from; in a fixed order, by one thread.
at::Tensor spread_patches(const at::Tensor& patches, const PatchShape& shape);

}  // namespace elbow::models
