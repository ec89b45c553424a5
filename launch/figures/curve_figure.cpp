#include "launch/figures/curve_figure.h"

#include <algorithm>
#include <cmath>

#include "launch/figures/axes.h"

namespace elbow::launch::figures {
namespace {

constexpr double kPanelWidth = 178, kPanelHeight = 150, kLegendHeight = 14;

// The first epochs of a run may be far above all that follows: in a long run they are cut off.
Scale scale_of_values(const CurvePanel& panel) {
  std::vector<double> all, later;
  for (const auto& curve : panel.curves) {
    for (size_t i = 0; i < curve.y.size(); ++i) {
      all.push_back(curve.y[i]);
      if (i >= curve.y.size() / 10) later.push_back(curve.y[i]);
    }
  }
  const auto whole = scale_around(all), rest = scale_around(later);
  const double extent = rest.high - rest.low;
  const bool far = whole.high - whole.low > 3 * extent;
  return far ? Scale{rest.low - 0.1 * extent, rest.high + 0.25 * extent} : whole;
}

std::vector<LegendEntry> entries_of(const std::vector<CurvePanel>& panels) {
  std::vector<LegendEntry> entries;
  for (const auto& panel : panels) {
    for (const auto& curve : panel.curves) {
      const bool known = std::any_of(entries.begin(), entries.end(),
                                     [&](const auto& entry) { return entry.name == curve.name; });
      if (!known) entries.push_back({curve.name, curve.colour, curve.dashed});
    }
  }
  return entries;
}

// Rows of entries that fit into the width.
std::vector<std::vector<LegendEntry>> legend_rows(const std::vector<LegendEntry>& entries,
                                                  double width) {
  constexpr double kLetter = 4.2, kAround = 28;  // of 7 point text, roughly
  std::vector<std::vector<LegendEntry>> rows(1);
  double used = 0;
  for (const auto& entry : entries) {
    const double needed = kLetter * static_cast<double>(entry.name.size()) + kAround;
    if (used + needed > width && !rows.back().empty()) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(entry);
    used += needed;
  }
  return rows;
}

}  // namespace

Figure curve_figure(const std::vector<CurvePanel>& panels, const std::string& x_label) {
  const double width = kPanelWidth * static_cast<double>(std::max<size_t>(panels.size(), 1));
  const auto rows = legend_rows(entries_of(panels), width - 20);
  const double legend = kLegendHeight * static_cast<double>(rows.size());
  return {.width = width, .height = kPanelHeight + legend, .draw = [=](Canvas& canvas) {
            for (size_t r = 0; r < rows.size(); ++r)
              legend_row(canvas, {36, 8 + kLegendHeight * static_cast<double>(r)}, rows[r]);
            for (size_t p = 0; p < panels.size(); ++p) {
              std::vector<double> x;
              for (const auto& curve : panels[p].curves)
                x.insert(x.end(), curve.x.begin(), curve.x.end());
              const auto across = scale_around(x, /*logarithmic=*/false, /*room=*/0.02);
              Axes axes(canvas,
                        {kPanelWidth * static_cast<double>(p), legend, kPanelWidth, kPanelHeight},
                        {.title = panels[p].title,
                         .x_label = x_label,
                         .y_label = panels[p].y_label,
                         .x = across,
                         .y = scale_of_values(panels[p]),
                         .x_ticks = whole_ticks(across)});
              for (const auto& curve : panels[p].curves) {
                Stroke stroke{.colour = curve.colour, .width = 1.2};
                if (curve.dashed) stroke.dash = {3, 2};
                axes.curve(curve.x, curve.y, stroke);
              }
            }
          }};
}

}  // namespace elbow::launch::figures
