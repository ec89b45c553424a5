#include "launch/figures/parallel_coordinates.h"

#include <algorithm>
#include <cmath>

#include "launch/figures/colour_scale.h"

namespace elbow::launch::figures {
namespace {

constexpr double kBetween = 112, kTop = 22, kHeight = 170, kSides = 48, kBottom = 10;

Scale scale_of(const ParallelAxis& axis) {
  if (axis.categories.empty()) return scale_around(axis.places, axis.logarithmic);
  return {-0.5, static_cast<double>(axis.categories.size()) - 0.5};
}

std::vector<Tick> ticks_along(const ParallelAxis& axis, const Scale& scale) {
  if (axis.categories.empty()) return ticks_of(scale);
  std::vector<Tick> ticks;
  for (size_t i = 0; i < axis.categories.size(); ++i)
    ticks.push_back({static_cast<double>(i), axis.categories[i]});
  return ticks;
}

double x_of(size_t axis) { return kSides + kBetween * static_cast<double>(axis); }
double y_of(const Scale& scale, double place) {
  return kTop + kHeight * (1 - std::clamp(scale.share(place), 0.0, 1.0));
}

// Bent, so that a crossing at an axis still shows where a curve goes on.
std::vector<Point> bend(const Point& from, const Point& to) {
  constexpr int kPieces = 16;
  std::vector<Point> points;
  for (int i = 0; i <= kPieces; ++i) {
    const double t = static_cast<double>(i) / kPieces, s = t * t * (3 - 2 * t);
    points.push_back({from.x + t * (to.x - from.x), from.y + s * (to.y - from.y)});
  }
  return points;
}

std::string shortened(const std::string& label) {
  constexpr size_t kLongest = 16;
  return label.size() <= kLongest ? label : label.substr(0, kLongest - 1) + "…";
}

void draw_axis(Canvas& canvas, const ParallelAxis& axis, const Scale& scale, double x) {
  canvas.line({{x, kTop}, {x, kTop + kHeight}}, {.colour = kMuted, .width = 0.8});
  canvas.text({x, kTop - 8}, axis.name, {.size = 8, .bold = true, .across = Anchor::kMiddle});
  for (const auto& tick : ticks_along(axis, scale)) {
    const double y = y_of(scale, tick.value);
    const TextStyle style{
        .size = 7, .colour = kMuted, .across = Anchor::kEnd, .along = Anchor::kMiddle};
    const std::string label = shortened(tick.label);
    const double width = canvas.width_of(label, style);
    canvas.line({{x - 2, y}, {x, y}}, {.colour = kMuted, .width = 0.8});
    canvas.fill({x - 5 - width, y - 4.5, width + 2, 9}, kPaper.faded(0.85));  // over the curves
    canvas.text({x - 4, y}, label, style);
  }
}

}  // namespace

Figure parallel_coordinates(const std::vector<ParallelAxis>& axes, int64_t best) {
  const double width =
      2 * kSides + kBetween * static_cast<double>(std::max<size_t>(axes.size(), 1) - 1);
  return {.width = width, .height = kTop + kHeight + kBottom, .draw = [=](Canvas& canvas) {
            if (axes.empty()) return;
            std::vector<Scale> scales;
            for (const auto& axis : axes) scales.push_back(scale_of(axis));
            const auto& metric = axes.back().places;
            const ColourScale colours(metric, "");
            const auto draw = [&](size_t trial, const Stroke& stroke) {
              for (size_t a = 0; a + 1 < axes.size(); ++a) {
                const double from = axes[a].places[trial], to = axes[a + 1].places[trial];
                if (!std::isfinite(from) || !std::isfinite(to)) continue;
                canvas.line(
                    bend({x_of(a), y_of(scales[a], from)}, {x_of(a + 1), y_of(scales[a + 1], to)}),
                    stroke);
              }
            };
            for (size_t trial = 0; trial < metric.size(); ++trial)
              draw(trial, {.colour = colours.of(metric[trial]).faded(0.7), .width = 0.9});
            if (best >= 0) draw(static_cast<size_t>(best), {.width = 2});
            for (size_t a = 0; a < axes.size(); ++a) draw_axis(canvas, axes[a], scales[a], x_of(a));
          }};
}

}  // namespace elbow::launch::figures
