#include "launch/figures/sweep_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "launch/figures/axes.h"
#include "launch/figures/colour_scale.h"

namespace elbow::launch::figures {
namespace {

constexpr double kBarHeight = 26;

// Under a plot of this width: as wide as half of it.
void draw_bar_below(Canvas& canvas, const ColourScale& colours, double width, double top) {
  colours.draw_bar(canvas, {0.35 * width, top, 0.5 * width, kBarHeight});
}

bool finite(const RatePoint& point) {
  return std::isfinite(point.rate) && std::isfinite(point.distortion);
}

std::vector<double> weights_of(const std::vector<RatePoint>& points) {
  std::vector<double> weights;
  for (const auto& point : points) weights.push_back(point.weight);
  return weights;
}

void draw_equal_elbo(Axes& axes, const Scale& x, const Scale& y) {
  const Stroke dashes{.colour = kGridLine, .width = 0.8, .dash = {3, 2}};
  for (const auto& tick : ticks_of({x.low + y.low, x.high + y.high}, /*wanted=*/8))
    axes.curve({x.low, x.high}, {tick.value - x.low, tick.value - x.high}, dashes);
}

void draw_point(Axes& axes, const RatePoint& point, const Colour& colour) {
  const Stroke bar{.colour = colour, .width = 0.9};
  const double rate = point.rate_deviation, distortion = point.distortion_deviation;
  if (rate > 0)
    axes.curve({point.rate - rate, point.rate + rate}, {point.distortion, point.distortion}, bar);
  if (distortion > 0)
    axes.curve({point.rate, point.rate},
               {point.distortion - distortion, point.distortion + distortion}, bar);
  axes.discs({point.rate}, {point.distortion}, 2.6, colour);
}

// Of numbers that are all whole, such as counts; nothing for others.
std::optional<std::vector<Tick>> ticks_of_counts(const std::vector<double>& values) {
  const bool whole = std::all_of(values.begin(), values.end(), [](double value) {
    return !std::isfinite(value) || value == std::floor(value);
  });
  return whole ? std::optional(whole_ticks(scale_around(values))) : std::nullopt;
}

}  // namespace

Figure rate_distortion_figure(const std::vector<RatePoint>& points,
                              const std::string& weight_name) {
  constexpr double kWidth = 320, kHeight = 240;
  return {
      .width = kWidth, .height = kHeight + kBarHeight, .draw = [=](Canvas& canvas) {
        std::vector<double> x, y;
        for (const auto& point : points) {
          if (!finite(point)) continue;
          x.insert(x.end(), {point.rate - point.rate_deviation, point.rate + point.rate_deviation});
          y.insert(y.end(), {point.distortion - point.distortion_deviation,
                             point.distortion + point.distortion_deviation});
        }
        const Scale across = scale_around(x), upwards = scale_around(y);
        const ColourScale colours(weights_of(points), weight_name);
        Axes axes(canvas, {0, 0, kWidth, kHeight},
                  {.title = "rate and distortion",
                   .x_label = "rate: KL to the prior, nats per example",
                   .y_label = "distortion: reconstruction, nats per example",
                   .x = across,
                   .y = upwards,
                   .grid = false});
        draw_equal_elbo(axes, across, upwards);
        std::vector<double> frontier_x, frontier_y;
        for (const auto& point : points) {
          if (!point.on_frontier || !finite(point)) continue;
          frontier_x.push_back(point.rate);
          frontier_y.push_back(point.distortion);
        }
        axes.curve(frontier_x, frontier_y, {.colour = kMuted, .width = 1});
        for (const auto& point : points)
          if (finite(point)) draw_point(axes, point, colours.of(point.weight));
        axes.legend({{"not dominated", kMuted}, {"equal ELBO", kGridLine, /*dashed=*/true}},
                    Corner::kTopRight);
        draw_bar_below(canvas, colours, kWidth, kHeight + 4);
      }};
}

Figure trial_dots(const std::vector<double>& x, const std::string& x_label,
                  const std::vector<TrialPanel>& panels) {
  constexpr double kPanelWidth = 230, kPanelHeight = 180;
  const double width = kPanelWidth * static_cast<double>(std::max<size_t>(panels.size(), 1));
  return {.width = width, .height = kPanelHeight, .draw = [=](Canvas& canvas) {
            const bool logarithmic = ColourScale(x, "").logarithmic();
            for (size_t p = 0; p < panels.size(); ++p) {
              Axes axes(canvas,
                        {kPanelWidth * static_cast<double>(p), 0, kPanelWidth, kPanelHeight},
                        {.title = panels[p].title,
                         .x_label = x_label,
                         .y_label = panels[p].y_label,
                         .x = scale_around(x, logarithmic),
                         .y = scale_around(panels[p].y),
                         .y_ticks = ticks_of_counts(panels[p].y)});
              std::map<double, std::pair<double, double>> sums;  // by x: sum, count
              for (size_t i = 0; i < std::min(x.size(), panels[p].y.size()); ++i) {
                if (!std::isfinite(x[i]) || !std::isfinite(panels[p].y[i])) continue;
                sums[x[i]].first += panels[p].y[i];
                sums[x[i]].second += 1;
              }
              std::vector<double> places, means;
              for (const auto& [place, sum] : sums) {
                places.push_back(place);
                means.push_back(sum.first / sum.second);
              }
              const auto colour = line_colour(static_cast<int64_t>(p));
              axes.curve(places, means, {.colour = colour, .width = 1.1});
              axes.discs(x, panels[p].y, 2.2, colour.faded(0.6));
            }
          }};
}

Figure epoch_curves(const std::vector<TrialCurve>& curves, const std::string& metric,
                    const std::string& weight_name) {
  constexpr double kWidth = 380, kHeight = 240, kCross = 2;
  return {
      .width = kWidth, .height = kHeight + kBarHeight, .draw = [=](Canvas& canvas) {
        std::vector<double> epochs, values, weights;
        for (const auto& curve : curves) {
          epochs.insert(epochs.end(), curve.epochs.begin(), curve.epochs.end());
          values.insert(values.end(), curve.values.begin(), curve.values.end());
          weights.push_back(curve.weight);
        }
        const Scale across = scale_around(epochs, /*logarithmic=*/false, /*room=*/0.02);
        const ColourScale colours(weights, weight_name);
        Axes axes(canvas, {0, 0, kWidth, kHeight},
                  {.title = fmt::format("{} by epoch", metric),
                   .x_label = "epoch",
                   .y_label = metric,
                   .x = across,
                   .y = scale_around(values),
                   .x_ticks = whole_ticks(across, /*wanted=*/8)});
        for (const auto& curve : curves) {
          if (curve.epochs.empty()) continue;
          const bool ended = curve.end == CurveEnd::kPruned || curve.end == CurveEnd::kFailed;
          const auto colour = colours.of(curve.weight).faded(ended ? 0.45 : 0.9);
          const Stroke stroke{.colour = colour, .width = ended ? 0.7 : 1.1};
          axes.curve(curve.epochs, curve.values, stroke);
          if (!ended) continue;
          const Point at = axes.at(curve.epochs.back(), curve.values.back());
          axes.within([&] {
            for (const double side : {-kCross, kCross})
              canvas.line({{at.x - kCross, at.y - side}, {at.x + kCross, at.y + side}}, stroke);
          });
        }
        for (const auto& curve : curves)
          if (curve.best) axes.curve(curve.epochs, curve.values, {.width = 1.8});
        axes.legend({{"best", kInk}, {"stopped early ends in ×", kMuted}}, Corner::kBottomRight);
        draw_bar_below(canvas, colours, kWidth, kHeight + 4);
      }};
}

}  // namespace elbow::launch::figures
