// Sheets of images: decoded grids with their latent coordinates, reconstructions, samples.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/latent_plane.h"

namespace elbow::launch::figures {

// How an example lies in its row of numbers: the channels of a pixel side by side.
struct ImageShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 1;  // 1 or 3
};

// images: [count, height * width * channels], 0 to 1 (cut off outside), row after row with a gap of
// `gap` white pixels.
Pixels tiled(const at::Tensor& images, const ImageShape& shape, int64_t columns, int64_t gap);

// The bytes of a PNG of such a sheet alone: gap of 2, a pixel of an image is as many of the file as
// make its longer side 600 or more. std::runtime_error with Cairo's reason where it is too large.
std::string sheet_png(const at::Tensor& images, const ImageShape& shape, int64_t columns);

// The latent coordinates of a square grid of decoded images.
std::vector<double> prior_quantiles(int count);  // inverse normal cdf of 0.05 to 0.95, even steps
std::vector<double> even_range(double low, double high, int count);

// decoded: the images at every pair of coordinates, from the top row (largest coordinate) down,
// each row from the smallest coordinate on: as grid_points() gives them.
struct GridPoints {
  std::vector<double> x;
  std::vector<double> y;
};
GridPoints grid_points(const std::vector<double>& coordinates, const Plane& plane);
Figure decoded_grid(const at::Tensor& decoded, const ImageShape& shape,
                    const std::vector<double>& coordinates, const Plane& plane,
                    const std::string& title);

// Originals above their reconstructions, in pairs of rows.
Figure reconstructions(const at::Tensor& originals, const at::Tensor& decoded,
                       const ImageShape& shape, int64_t columns);
// A sheet of images without order.
Figure image_sheet(const at::Tensor& images, const ImageShape& shape, int64_t columns,
                   const std::string& title);

}  // namespace elbow::launch::figures
