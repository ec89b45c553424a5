#include "models/patches.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>

#include <algorithm>

#include "models/forms.h"

namespace elbow::models {
namespace {

// Calls visit(offset in the image, offset in the patches, count) for every line of every patch of
// one image, as far as it lies inside; in the order of the patches.
template <class Visit>
void for_each_line(const PatchShape& s, const Visit& visit) {
  int64_t patch = 0;
  for (int64_t row = 0; row < s.patch_rows(); ++row) {
    for (int64_t column = 0; column < s.patch_columns(); ++column, ++patch) {
      const int64_t left = column * s.stride - s.padding();
      const int64_t begin = std::max<int64_t>(left, 0);
      const int64_t end = std::min(left + s.kernel, s.width);
      for (int64_t line = 0; line < s.kernel; ++line) {
        const int64_t y = row * s.stride - s.padding() + line;
        if (y < 0 || y >= s.height || begin >= end) continue;
        visit((y * s.width + begin) * s.channels,
              patch * s.numbers() + (line * s.kernel + begin - left) * s.channels,
              (end - begin) * s.channels);
      }
    }
  }
}

// Without the zeros around the images.
at::Tensor inner_part(const at::Tensor& padded, const PatchShape& s) {
  return padded.slice(1, s.padding(), s.padding() + s.height)
      .slice(2, s.padding(), s.padding() + s.width);
}

at::Tensor padded_zeros(int64_t images, const PatchShape& s, const at::TensorOptions& options) {
  return at::zeros({images, s.height + 2 * s.padding(), s.width + 2 * s.padding(), s.channels},
                   options);
}

at::Tensor aten_extract(const at::Tensor& images, const PatchShape& s) {
  const int64_t count = images.size(0) * images.size(1);
  const auto padded = padded_zeros(count, s, images.options());
  inner_part(padded, s).copy_(images.reshape({count, s.height, s.width, s.channels}));
  return padded.unfold(1, s.kernel, s.stride)
      .unfold(2, s.kernel, s.stride)
      .permute({0, 1, 2, 4, 5, 3})
      .reshape({images.size(0), images.size(1) * s.patches(), s.numbers()});
}

at::Tensor aten_spread(const at::Tensor& patches, const PatchShape& s, int64_t batch) {
  const int64_t count = patches.size(0) * batch;
  const auto lines =
      patches.reshape({count, s.patch_rows(), s.patch_columns(), s.kernel, s.kernel, s.channels});
  const auto padded = padded_zeros(count, s, patches.options());
  for (int64_t line = 0; line < s.kernel; ++line) {
    for (int64_t column = 0; column < s.kernel; ++column) {
      padded.slice(1, line, line + (s.patch_rows() - 1) * s.stride + 1, s.stride)
          .slice(2, column, column + (s.patch_columns() - 1) * s.stride + 1, s.stride)
          .add_(lines.select(4, column).select(3, line));
    }
  }
  return inner_part(padded, s).reshape({patches.size(0), batch, s.height * s.width * s.channels});
}

}  // namespace

at::Tensor extract_patches(const at::Tensor& images, const PatchShape& s) {
  if (!fused(images)) return aten_extract(images, s);
  const auto out =
      at::zeros({images.size(0), images.size(1) * s.patches(), s.numbers()}, images.options());
  AT_DISPATCH_FLOATING_TYPES(images.scalar_type(), "extract_patches", [&] {
    const auto* from = images.const_data_ptr<scalar_t>();
    auto* to = out.mutable_data_ptr<scalar_t>();
    for (int64_t i = 0; i < images.size(0) * images.size(1); ++i) {
      for_each_line(s, [&](int64_t in_image, int64_t in_patch, int64_t count) {
        std::copy_n(from + in_image, count, to + in_patch);
      });
      from += images.size(2);
      to += s.patches() * s.numbers();
    }
  });
  return out;
}

at::Tensor spread_patches(const at::Tensor& patches, const PatchShape& s) {
  const int64_t batch = patches.size(1) / s.patches();
  if (!fused(patches)) return aten_spread(patches, s, batch);
  const auto out =
      at::zeros({patches.size(0), batch, s.height * s.width * s.channels}, patches.options());
  AT_DISPATCH_FLOATING_TYPES(patches.scalar_type(), "spread_patches", [&] {
    const auto* from = patches.const_data_ptr<scalar_t>();
    auto* to = out.mutable_data_ptr<scalar_t>();
    for (int64_t i = 0; i < patches.size(0) * batch; ++i) {
      for_each_line(s, [&](int64_t in_image, int64_t in_patch, int64_t count) {
        for (int64_t c = 0; c < count; ++c) to[in_image + c] += from[in_patch + c];
      });
      from += s.patches() * s.numbers();
      to += out.size(2);
    }
  });
  return out;
}

}  // namespace elbow::models
