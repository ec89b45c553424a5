// The plane of latent space that a flat picture shows: two latent units, or two principal axes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <vector>

namespace elbow::launch::figures {

// Two orthogonal unit vectors [latent], float64, and what stands along them. With one latent unit
// the second is zero and has no label.
struct Plane {
  at::Tensor across;
  at::Tensor upwards;
  std::string across_label;
  std::string upwards_label;

  bool is_line() const { return upwards_label.empty(); }
};

// The two units whose mu varies most over the examples, in their own order; with two units these
// are the first and the second.   mu: [examples, latent].
Plane active_plane(const at::Tensor& mu);
// The first two principal axes of mu, labelled with their share of its variance.
Plane principal_plane(const at::Tensor& mu);

// Gaussians on the plane: centres, and covariances [[xx, xy], [xy, yy]] as {xx, xy, yy}.
struct FlatGaussians {
  std::vector<double> x;
  std::vector<double> y;
  std::vector<std::array<double, 3>> covariance;
};
FlatGaussians on_plane(const Plane& plane, const at::Tensor& mu, const at::Tensor& sigma);

// The points of latent space [count, latent], float32, at these places of the plane; what is
// orthogonal to it is 0, the prior's mean.
at::Tensor from_plane(const Plane& plane, const std::vector<double>& x,
                      const std::vector<double>& y);

}  // namespace elbow::launch::figures
