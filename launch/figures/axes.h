// A plot's frame on a canvas: scales, marks, labels, and the way from values to points. Curves and
// shapes that are drawn through it are cut off at the frame.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/ticks.h"

namespace elbow::launch::figures {

struct AxesSpec {
  std::string title;
  std::string x_label;
  std::string y_label;
  Scale x;
  Scale y;
  bool equal = false;  // a unit is as long along x as along y: the frame shrinks to fit
  bool grid = true;
  double least_left = 0;  // points left of the frame, so that frames above each other align
  std::optional<std::vector<Tick>> x_ticks{};  // instead of the scale's own
  std::optional<std::vector<Tick>> y_ticks{};
};

struct LegendEntry {
  std::string name;
  Colour colour;
  bool dashed = false;
  bool dot = false;  // a dot instead of a line
};

enum class Corner { kTopLeft, kTopRight, kBottomLeft, kBottomRight };

class Axes {
 public:
  // Draws the frame with all its words inside `outer`.
  Axes(Canvas& canvas, const Box& outer, const AxesSpec& spec);

  const Box& inside() const { return inside_; }
  Point at(double x, double y) const;
  double points_per_x() const;  // linear scales only

  // Values that are not finite interrupt the curve.
  void curve(const std::vector<double>& x, const std::vector<double>& y, const Stroke& stroke);
  void discs(const std::vector<double>& x, const std::vector<double>& y, double radius,
             const Colour& colour);
  // The circle around (0, 0), for equal axes.
  void circle(double radius, const Stroke& stroke);
  // One standard deviation of a Gaussian with the covariance [[xx, xy], [xy, yy]], given as {xx,
  // xy, yy}. Linear scales only.
  void ellipse(double x, double y, const std::array<double, 3>& covariance, const Stroke& stroke);
  void bar(double x, double from, double to, double width, const Colour& colour);
  void cell(double left, double bottom, double right, double top, const Colour& colour);
  void legend(const std::vector<LegendEntry>& entries, Corner corner);
  void within(const std::function<void()>& draw) { canvas_.clipped(inside_, draw); }

 private:
  void place(const Box& outer, const std::vector<Tick>& y_ticks);
  void draw_frame(const std::vector<Tick>& x_ticks, const std::vector<Tick>& y_ticks);

  Canvas& canvas_;
  AxesSpec spec_;
  Box inside_;
};

// Entries in a row from `left`, on the line whose middle is `y`. Returns where they end.
double legend_row(Canvas& canvas, Point start, const std::vector<LegendEntry>& entries);

}  // namespace elbow::launch::figures
