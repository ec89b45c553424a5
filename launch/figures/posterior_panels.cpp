#include "launch/figures/posterior_panels.h"

#include <algorithm>
#include <cmath>

#include "launch/figures/axes.h"

namespace elbow::launch::figures {
namespace {

constexpr double kPanel = 136;
constexpr size_t kColumns = 4, kEllipses = 24;

bool finite(const FlatGaussians& codes, size_t i) {
  return std::isfinite(codes.x[i]) && std::isfinite(codes.y[i]);
}

// Wide enough for nearly all points of all panels, and for three prior deviations.
Scale common_scale(const std::vector<PosteriorPanel>& panels) {
  std::vector<double> sizes;
  for (const auto& panel : panels) {
    for (size_t i = 0; i < panel.codes.x.size(); ++i) {
      if (finite(panel.codes, i))
        sizes.push_back(std::max(std::abs(panel.codes.x[i]), std::abs(panel.codes.y[i])));
    }
  }
  double reach = 3.2;
  if (!sizes.empty()) {
    const auto most = sizes.begin() + static_cast<int64_t>(0.995 * (std::ssize(sizes) - 1));
    std::nth_element(sizes.begin(), most, sizes.end());
    reach = std::max(reach, 1.08 * *most);
  }
  return {-reach, reach};
}

void draw_panel(Canvas& canvas, const Box& box, const PosteriorPanel& panel, const Scale& scale) {
  Axes axes(canvas, box,
            {.title = panel.title,
             .x_label = panel.plane.across_label,
             .y_label = panel.plane.upwards_label,
             .x = scale,
             .y = scale,
             .equal = true});
  const auto colour = [&](size_t i) {
    return panel.labels.empty() ? line_colour(0) : class_colour(panel.labels[i]);
  };
  axes.within([&] {
    for (size_t i = 0; i < panel.codes.x.size(); ++i)
      if (finite(panel.codes, i))
        canvas.disc(axes.at(panel.codes.x[i], panel.codes.y[i]), 0.9, colour(i).faded(0.6));
  });
  for (size_t i = 0; i < std::min(panel.codes.x.size(), kEllipses); ++i) {
    if (finite(panel.codes, i))
      axes.ellipse(panel.codes.x[i], panel.codes.y[i], panel.codes.covariance[i],
                   {.colour = kInk.faded(0.55), .width = 0.5});
  }
  axes.circle(1, {.colour = kInk, .width = 0.9});
  axes.circle(2, {.colour = kInk, .width = 0.7, .dash = {3, 2}});
}

}  // namespace

Figure posterior_panels(const std::vector<PosteriorPanel>& panels) {
  const size_t columns = std::clamp<size_t>(panels.size(), 1, kColumns);
  const size_t rows = (panels.size() + columns - 1) / columns;
  return {.width = kPanel * static_cast<double>(columns),
          .height = kPanel * static_cast<double>(std::max<size_t>(rows, 1)),
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            const Scale scale = common_scale(panels);
            for (size_t p = 0; p < panels.size(); ++p) {
              draw_panel(canvas,
                         {kPanel * static_cast<double>(p % columns),
                          kPanel * static_cast<double>(p / columns), kPanel, kPanel},
                         panels[p], scale);
            }
          }};
}

}  // namespace elbow::launch::figures
