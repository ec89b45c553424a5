#include "launch/figures/latent_plane.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace elbow::launch::figures {
namespace {

at::Tensor unit(int64_t latent, int64_t index) {
  auto vector = at::zeros({latent}, at::kDouble);
  vector[index] = 1.0;
  return vector;
}

Plane line_plane() { return {unit(1, 0), at::zeros({1}, at::kDouble), "latent unit 1", ""}; }

std::vector<double> numbers_of(const at::Tensor& values) {
  const auto plain = values.to(at::kDouble).contiguous();
  const auto* first = plain.const_data_ptr<double>();
  return {first, first + plain.numel()};
}

}  // namespace

Plane active_plane(const at::Tensor& mu) {
  const int64_t latent = mu.size(1);
  if (latent == 1) return line_plane();
  const auto variance = mu.to(at::kDouble).var(/*dim=*/0, /*unbiased=*/false);
  const auto order = variance.argsort(/*dim=*/0, /*descending=*/true);
  int64_t first = order[0].item<int64_t>(), second = order[1].item<int64_t>();
  if (first > second) std::swap(first, second);
  return {unit(latent, first), unit(latent, second), fmt::format("latent unit {}", first + 1),
          fmt::format("latent unit {}", second + 1)};
}

Plane principal_plane(const at::Tensor& mu) {
  const int64_t latent = mu.size(1);
  if (latent == 1) return line_plane();
  const auto centred = mu.to(at::kDouble) - mu.to(at::kDouble).mean(0, /*keepdim=*/true);
  const auto covariance = centred.t().matmul(centred) / static_cast<double>(mu.size(0));
  const auto [variances, axes] = at::linalg_eigh(covariance);  // increasing
  const double total = variances.sum().item<double>();
  const auto label = [&](int64_t from_last, const char* which) {
    const double share = variances[latent - from_last].item<double>() / total;
    return fmt::format("{} principal axis ({:.0f} % of Var μ)", which, 100 * share);
  };
  return {axes.select(1, latent - 1).contiguous(), axes.select(1, latent - 2).contiguous(),
          label(1, "first"), label(2, "second")};
}

FlatGaussians on_plane(const Plane& plane, const at::Tensor& mu, const at::Tensor& sigma) {
  const auto mean = mu.to(at::kDouble), variance = sigma.to(at::kDouble).square();
  const auto &a = plane.across, &b = plane.upwards;
  FlatGaussians flat{.x = numbers_of(mean.mv(a)), .y = numbers_of(mean.mv(b))};
  const auto xx = numbers_of(variance.mv(a * a)), xy = numbers_of(variance.mv(a * b)),
             yy = numbers_of(variance.mv(b * b));
  for (size_t i = 0; i < xx.size(); ++i) flat.covariance.push_back({xx[i], xy[i], yy[i]});
  return flat;
}

at::Tensor from_plane(const Plane& plane, const std::vector<double>& x,
                      const std::vector<double>& y) {
  const auto across = at::tensor(x, at::kDouble).unsqueeze(1) * plane.across;
  const auto upwards = at::tensor(y, at::kDouble).unsqueeze(1) * plane.upwards;
  return (across + upwards).to(at::kFloat).contiguous();
}

}  // namespace elbow::launch::figures
