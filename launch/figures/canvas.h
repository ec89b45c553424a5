// What figures draw on: lines, shapes, text and pictures in points (1/72 inch), y downwards, on a
// Cairo surface. A Figure is a size and a function that draws; it becomes PNG or SVG bytes. Pure:
// no files. One thread a canvas.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launch/figures/colour.h"

using cairo_t = struct _cairo;

namespace elbow::launch::figures {

struct Point {
  double x = 0;
  double y = 0;
};

struct Box {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
  double middle_x() const { return left + width / 2; }
  double middle_y() const { return top + height / 2; }
};

struct Stroke {
  Colour colour = kInk;
  double width = 1;
  std::vector<double> dash{};  // lengths on, off, …; empty: a solid line
};

enum class Anchor { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 8;  // points
  Colour colour = kInk;
  bool bold = false;
  Anchor across = Anchor::kStart;  // which end of the line `at` is
  Anchor along = Anchor::kEnd;     // kStart: `at` is its top, kEnd: its baseline
  bool upwards = false;            // turned by 90 degrees, to be read from below
};

// Pixels of a picture: rows from the top, 1 (grey) or 3 (red, green, blue) bytes a pixel.
struct Pixels {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 1;
  std::vector<uint8_t> bytes;
};

class Canvas {
 public:
  explicit Canvas(cairo_t* context) : context_(context) {}

  void fill(const Box& box, const Colour& colour);
  void frame(const Box& box, const Stroke& stroke);
  void line(const std::vector<Point>& points, const Stroke& stroke);
  void polygon(const std::vector<Point>& points, const Colour& colour);
  void disc(const Point& centre, double radius, const Colour& colour);
  void ring(const Point& centre, double radius, const Stroke& stroke);
  // One standard deviation of a Gaussian with the covariance {xx, xy, yy}, whose y points upwards;
  // `scale` has the points a unit along x and y.
  void ellipse(const Point& centre, const std::array<double, 3>& covariance, const Point& scale,
               const Stroke& stroke);
  void text(const Point& at, const std::string& words, const TextStyle& style = {});
  double width_of(const std::string& words, const TextStyle& style = {});
  // Fills the box; pixels stay squares with sharp edges.
  void picture(const Box& box, const Pixels& pixels);
  // What `draw` draws outside the box is cut off.
  void clipped(const Box& box, const std::function<void()>& draw);

 private:
  void colour(const Colour& colour);
  void path(const std::vector<Point>& points);
  void stroke(const Stroke& stroke);
  void font(const TextStyle& style);

  cairo_t* context_;
};

struct Figure {
  double width = 0;  // points
  double height = 0;
  bool line_art = true;  // worth an SVG
  std::function<void(Canvas&)> draw;
};

inline constexpr double kPixelsPerPoint = 3;  // 216 dots an inch

// The files' bytes, on white. std::runtime_error with Cairo's reason.
std::string png_of(const Figure& figure, double pixels_per_point = kPixelsPerPoint);
std::string svg_of(const Figure& figure);

}  // namespace elbow::launch::figures
