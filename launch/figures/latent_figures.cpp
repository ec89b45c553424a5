#include "launch/figures/latent_figures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "launch/figures/axes.h"

namespace elbow::launch::figures {
namespace {

constexpr double kEllipseRange = 10;
constexpr double kActiveKlNats = 0.01;

const Stroke kPriorLine{.colour = kInk, .width = 1};
const Stroke kPriorDashes{.colour = kInk, .width = 0.8, .dash = {3, 2}};

bool finite(const FlatGaussians& flat, size_t i) {
  return std::isfinite(flat.x[i]) && std::isfinite(flat.y[i]) &&
         std::isfinite(flat.covariance[i][0]) && std::isfinite(flat.covariance[i][2]);
}

// Symmetric around 0, wide enough for nearly all of the points and for three prior deviations.
Scale symmetric_scale(const FlatGaussians& flat) {
  std::vector<double> sizes;
  for (size_t i = 0; i < flat.x.size(); ++i)
    if (finite(flat, i)) sizes.push_back(std::max(std::abs(flat.x[i]), std::abs(flat.y[i])));
  double reach = 3.2;
  if (!sizes.empty()) {
    const auto most = sizes.begin() + static_cast<int64_t>(0.999 * (std::ssize(sizes) - 1));
    std::nth_element(sizes.begin(), most, sizes.end());
    reach = std::max(reach, 1.08 * *most);
  }
  return {-reach, reach};
}

void spectrum_bar(Canvas& canvas, const Box& box, int64_t steps) {
  constexpr int kParts = 120;
  for (int i = 0; i < kParts; ++i) {
    canvas.fill({box.left + box.width * i / kParts, box.top, box.width / kParts + 0.4, box.height},
                spectrum(static_cast<double>(i) / (kParts - 1)));
  }
  const TextStyle words{.size = 7, .colour = kMuted, .along = Anchor::kMiddle};
  auto before = words;
  before.across = Anchor::kEnd;
  canvas.text({box.left - 4, box.middle_y()}, "step 1", before);
  canvas.text({box.right() + 4, box.middle_y()}, fmt::format("step {}", steps), words);
}

// P(low < z <= high) under N(mean, deviation^2).
double mass(double mean, double deviation, double low, double high) {
  const double scale = std::max(deviation, 1e-9) * std::sqrt(2.0);
  return 0.5 * (std::erf((high - mean) / scale) - std::erf((low - mean) / scale));
}

// mass of each Gaussian in each of `cells` equal cells of the scale: [gaussians][cells].
std::vector<std::vector<double>> masses(const std::vector<double>& means,
                                        const std::vector<double>& deviations, const Scale& scale,
                                        int cells) {
  std::vector<std::vector<double>> all(means.size(), std::vector<double>(cells));
  const double width = (scale.high - scale.low) / cells;
  for (size_t i = 0; i < means.size(); ++i)
    for (int c = 0; c < cells; ++c)
      all[i][c] = mass(means[i], deviations[i], scale.low + c * width, scale.low + (c + 1) * width);
  return all;
}

double normal_density(double z) { return std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI); }

void draw_marginal(Canvas& canvas, const Box& box, const std::vector<std::vector<double>>& parts,
                   const Scale& scale, const std::string& label, bool with_legend) {
  const auto cells = static_cast<int>(parts.front().size());
  const double width = (scale.high - scale.low) / cells;
  std::vector<double> z, density, prior;
  for (int c = 0; c < cells; ++c) {
    double sum = 0;
    for (const auto& part : parts) sum += part[c];
    z.push_back(scale.low + (c + 0.5) * width);
    density.push_back(sum / static_cast<double>(parts.size()) / width);
    prior.push_back(normal_density(z.back()));
  }
  const double top = 1.25 * std::max(*std::max_element(density.begin(), density.end()), 0.4);
  Axes axes(canvas, box, {.x_label = label, .y_label = "density", .x = scale, .y = {0, top}});
  axes.curve(z, prior, kPriorDashes);
  axes.curve(z, density, {.colour = line_colour(0), .width = 1.3});
  if (with_legend)
    axes.legend({{"q(z)", line_colour(0)}, {"prior", kInk, /*dashed=*/true}}, Corner::kTopRight);
}

}  // namespace

Figure posterior_ellipses(const std::vector<EpochPosteriors>& epochs, const Plane& plane) {
  constexpr double kPanel = 236, kBottom = 20;
  const auto panels = static_cast<double>(std::max<size_t>(epochs.size(), 1));
  return {.width = panels * kPanel, .height = kPanel + kBottom, .draw = [=](Canvas& canvas) {
            size_t longest = 0;
            for (size_t p = 0; p < epochs.size(); ++p) {
              const auto& flat = epochs[p].posteriors;
              longest = std::max(longest, flat.x.size());
              Axes axes(canvas, {kPanel * static_cast<double>(p), 0, kPanel, kPanel},
                        {.title = fmt::format("epoch {}", epochs[p].epoch),
                         .x_label = plane.across_label,
                         .y_label = plane.upwards_label,
                         .x = {-kEllipseRange, kEllipseRange},
                         .y = {-kEllipseRange, kEllipseRange},
                         .equal = true});
              const auto last = static_cast<double>(std::max<size_t>(flat.x.size(), 2) - 1);
              for (size_t i = 0; i < flat.x.size(); ++i) {
                if (!finite(flat, i)) continue;
                const auto colour = spectrum(static_cast<double>(i) / last).faded(0.75);
                axes.ellipse(flat.x[i], flat.y[i], flat.covariance[i],
                             {.colour = colour, .width = 0.55});
              }
              axes.circle(1, {.colour = {0, 0, 0}, .width = 1.4});
            }
            const double middle = panels * kPanel / 2;
            spectrum_bar(canvas, {middle - 60, kPanel + 4, 120, 7}, static_cast<int64_t>(longest));
          }};
}

Figure latent_scatter(const FlatGaussians& codes, const std::vector<uint8_t>& labels,
                      const Plane& plane, const std::string& title) {
  constexpr double kSide = 252, kLegend = 34;
  const bool classes = !labels.empty();
  return {.width = kSide + (classes ? kLegend : 0),
          .height = kSide,
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            const auto scale = symmetric_scale(codes);
            Axes axes(canvas, {0, 0, kSide, kSide},
                      {.title = title,
                       .x_label = plane.across_label,
                       .y_label = plane.upwards_label,
                       .x = scale,
                       .y = scale,
                       .equal = true});
            const double radius = codes.x.size() > 3000 ? 0.9 : 1.3;
            axes.within([&] {
              // In the order of the examples, so that no class covers another.
              for (size_t i = 0; i < codes.x.size(); ++i) {
                if (!finite(codes, i)) continue;
                const auto colour = classes ? class_colour(labels[i]) : line_colour(0);
                canvas.disc(axes.at(codes.x[i], codes.y[i]), radius, colour.faded(0.7));
              }
            });
            axes.circle(1, kPriorLine);
            axes.circle(2, kPriorDashes);
            if (!classes) return;
            const int last = *std::max_element(labels.begin(), labels.end());
            for (int label = 0; label <= std::min(last, 15); ++label) {
              const double y = axes.inside().top + 8 + 12 * label;
              canvas.disc({kSide + 4, y}, 3, class_colour(label));
              canvas.text({kSide + 12, y}, std::to_string(label),
                          {.size = 8, .along = Anchor::kMiddle});
            }
          }};
}

Figure aggregated_posterior(const FlatGaussians& codes, const Plane& plane) {
  constexpr double kSide = 244, kMarginal = 190;
  return {.width = kSide + kMarginal, .height = kSide, .draw = [=](Canvas& canvas) {
            constexpr int kCells = 128;
            const auto scale = symmetric_scale(codes);
            std::vector<double> deviation_x, deviation_y;
            for (const auto& covariance : codes.covariance) {
              deviation_x.push_back(std::sqrt(covariance[0]));
              deviation_y.push_back(std::sqrt(covariance[2]));
            }
            const auto across = masses(codes.x, deviation_x, scale, kCells);
            const auto upwards = masses(codes.y, deviation_y, scale, kCells);
            std::vector<double> cells(kCells * kCells);
            for (size_t i = 0; i < across.size(); ++i)
              for (int y = 0; y < kCells; ++y)
                for (int x = 0; x < kCells; ++x)
                  cells[y * kCells + x] += upwards[i][y] * across[i][x];
            const double most = std::max(*std::max_element(cells.begin(), cells.end()), 1e-300);

            Axes axes(canvas, {0, 0, kSide, kSide},
                      {.title = "aggregated posterior",
                       .x_label = plane.across_label,
                       .y_label = plane.upwards_label,
                       .x = scale,
                       .y = scale,
                       .equal = true,
                       .grid = false});
            Pixels density{.width = kCells, .height = kCells, .channels = 3};
            for (int y = kCells - 1; y >= 0; --y) {
              for (int x = 0; x < kCells; ++x) {
                const auto c = density_colour(std::sqrt(cells[y * kCells + x] / most));
                for (const double part : {c.red, c.green, c.blue})
                  density.bytes.push_back(static_cast<uint8_t>(std::lround(255 * part)));
              }
            }
            canvas.picture(axes.inside(), density);
            for (const double radius : {1.0, 2.0, 3.0})
              axes.circle(radius, radius == 1 ? kPriorLine : kPriorDashes);
            canvas.frame(axes.inside(), {.colour = kMuted, .width = 0.6});
            const Box upper{kSide, 10, kMarginal, kSide / 2 - 5};
            draw_marginal(canvas, upper, across, scale, plane.across_label, /*with_legend=*/true);
            if (!plane.is_line()) {
              draw_marginal(canvas, {kSide, kSide / 2 + 5, kMarginal, kSide / 2 - 5}, upwards,
                            scale, plane.upwards_label, /*with_legend=*/false);
            }
          }};
}

std::vector<UnitStatistics> unit_statistics(const at::Tensor& mu, const at::Tensor& sigma) {
  const auto m = mu.to(at::kDouble), s = sigma.to(at::kDouble);
  const auto log_variance = 2 * s.log();
  const auto kl = (0.5 * (m * m + at::expm1(log_variance) - log_variance)).mean(0);
  const auto order = std::get<0>(s.sort(/*dim=*/0));
  const auto mean = s.mean(0);
  const int64_t last = s.size(0) - 1;
  const auto quantile = [&](double share) {
    return order[std::lround(share * static_cast<double>(last))];
  };
  const auto low = quantile(0.05), high = quantile(0.95);
  std::vector<UnitStatistics> units;
  for (int64_t j = 0; j < s.size(1); ++j)
    units.push_back({kl[j].item<double>(), mean[j].item<double>(), low[j].item<double>(),
                     high[j].item<double>()});
  return units;
}

Figure latent_units(const std::vector<UnitStatistics>& units) {
  std::vector<size_t> order(units.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return units[a].kl_nats > units[b].kl_nats; });
  return {.width = 380, .height = 236, .draw = [=](Canvas& canvas) {
            constexpr double kLeft = 40, kWidestBar = 30;  // points
            const auto count = static_cast<double>(units.size());
            const Scale across{0.4, count + 0.6};
            std::vector<double> kl, sigmas{1.0};
            for (const auto& unit : units) {
              kl.push_back(unit.kl_nats);
              sigmas.insert(sigmas.end(), {unit.sigma_low, unit.sigma_high});
            }
            std::optional<std::vector<Tick>> names;
            if (units.size() <= 25) {
              names.emplace();
              for (size_t i = 0; i < order.size(); ++i)
                names->push_back({static_cast<double>(i + 1), std::to_string(order[i] + 1)});
            }
            const double top = std::max(scale_around(kl).high, 5 * kActiveKlNats);
            const std::string label =
                names ? "latent unit, in the order of its KL" : "latent units, in the order of KL";
            Axes carried(canvas, {0, 0, 380, 112},
                         {.title = "KL of each latent unit",
                          .y_label = "nats",
                          .x = across,
                          .y = {0, top},
                          .least_left = kLeft,
                          .x_ticks = names});
            Axes scales(canvas, {0, 112, 380, 124},
                        {.title = "posterior σ: mean, and from 5 % to 95 % of the examples",
                         .x_label = label,
                         .y_label = "σ",
                         .x = across,
                         .y = scale_around(sigmas, /*logarithmic=*/true),
                         .least_left = kLeft,
                         .x_ticks = names});
            scales.curve({across.low, across.high}, {1, 1}, kPriorDashes);
            const double width = std::min(0.72, kWidestBar / carried.points_per_x());
            for (size_t i = 0; i < order.size(); ++i) {
              const auto& unit = units[order[i]];
              const auto x = static_cast<double>(i + 1);
              const auto colour = unit.kl_nats > kActiveKlNats ? line_colour(0) : kMuted;
              carried.bar(x, 0, unit.kl_nats, width, colour);
              scales.curve({x, x}, {unit.sigma_low, unit.sigma_high},
                           {.colour = colour, .width = std::min(2.0, 150 / count)});
              scales.discs({x}, {unit.sigma_mean}, std::min(2.4, 300 / count), colour);
            }
          }};
}

}  // namespace elbow::launch::figures
