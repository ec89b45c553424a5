#include "launch/figures/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <numbers>
#include <stdexcept>

namespace elbow::launch::figures {
namespace {

constexpr const char* kFont = "DejaVu Sans";

using Surface = std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)>;
using Context = std::unique_ptr<cairo_t, decltype(&cairo_destroy)>;

cairo_status_t append(void* bytes, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(bytes)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

void check(cairo_status_t status) {
  if (status != CAIRO_STATUS_SUCCESS)
    throw std::runtime_error(
        fmt::format("a figure could not be drawn: {}", cairo_status_to_string(status)));
}

// Draws the figure onto the surface, scaled.
void draw_on(cairo_surface_t* surface, const Figure& figure, double scale) {
  const Context context(cairo_create(surface), cairo_destroy);
  cairo_scale(context.get(), scale, scale);
  Canvas canvas(context.get());
  canvas.fill({0, 0, figure.width, figure.height}, kPaper);
  figure.draw(canvas);
  check(cairo_status(context.get()));
}

}  // namespace

void Canvas::colour(const Colour& colour) {
  cairo_set_source_rgba(context_, colour.red, colour.green, colour.blue, colour.alpha);
}

void Canvas::path(const std::vector<Point>& points) {
  cairo_new_path(context_);
  for (const auto& point : points) cairo_line_to(context_, point.x, point.y);
}

void Canvas::stroke(const Stroke& stroke) {
  colour(stroke.colour);
  cairo_set_line_width(context_, stroke.width);
  cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
  cairo_set_dash(context_, stroke.dash.data(), static_cast<int>(stroke.dash.size()), 0);
  cairo_stroke(context_);
}

void Canvas::fill(const Box& box, const Colour& with) {
  colour(with);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_fill(context_);
}

void Canvas::frame(const Box& box, const Stroke& with) {
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  stroke(with);
}

void Canvas::line(const std::vector<Point>& points, const Stroke& with) {
  path(points);
  stroke(with);
}

void Canvas::polygon(const std::vector<Point>& points, const Colour& with) {
  path(points);
  colour(with);
  cairo_fill(context_);
}

void Canvas::disc(const Point& centre, double radius, const Colour& with) {
  colour(with);
  cairo_new_path(context_);
  cairo_arc(context_, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  cairo_fill(context_);
}

void Canvas::ring(const Point& centre, double radius, const Stroke& with) {
  cairo_new_path(context_);
  cairo_arc(context_, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  stroke(with);
}

void Canvas::ellipse(const Point& centre, const std::array<double, 3>& covariance,
                     const Point& scale, const Stroke& with) {
  // The unit circle through the Cholesky factor [[a, 0], [b, c]], which is degenerate where the
  // Gaussian is: Cairo refuses matrices without an inverse.
  constexpr double kThin = 1e-6;
  const double a = std::max(std::sqrt(std::max(covariance[0], 0.0)), kThin);
  const double b = covariance[1] / a;
  const double c = std::max(std::sqrt(std::max(covariance[2] - b * b, 0.0)), kThin);
  cairo_matrix_t ellipse;
  cairo_matrix_init(&ellipse, scale.x * a, -scale.y * b, 0, -scale.y * c, centre.x, centre.y);
  cairo_save(context_);
  cairo_transform(context_, &ellipse);
  cairo_new_path(context_);
  cairo_arc(context_, 0, 0, 1, 0, 2 * std::numbers::pi);
  cairo_restore(context_);
  stroke(with);
}

void Canvas::font(const TextStyle& style) {
  cairo_select_font_face(context_, kFont, CAIRO_FONT_SLANT_NORMAL,
                         style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context_, style.size);
}

double Canvas::width_of(const std::string& words, const TextStyle& style) {
  font(style);
  cairo_text_extents_t extents;
  cairo_text_extents(context_, words.c_str(), &extents);
  return extents.x_advance;
}

void Canvas::text(const Point& at, const std::string& words, const TextStyle& style) {
  const double share = style.across == Anchor::kStart    ? 0
                       : style.across == Anchor::kMiddle ? 0.5
                                                         : 1;
  const double across = -share * width_of(words, style);
  cairo_font_extents_t line;
  cairo_font_extents(context_, &line);
  const double rise = line.ascent - line.descent;  // of letters without tails, about
  const double along = style.along == Anchor::kEnd      ? 0
                       : style.along == Anchor::kMiddle ? rise / 2
                                                        : rise;
  cairo_save(context_);
  colour(style.colour);
  cairo_translate(context_, at.x, at.y);
  if (style.upwards) cairo_rotate(context_, -std::numbers::pi / 2);
  cairo_move_to(context_, across, along);
  cairo_show_text(context_, words.c_str());
  cairo_restore(context_);
}

void Canvas::picture(const Box& box, const Pixels& pixels) {
  const auto width = static_cast<int>(pixels.width), height = static_cast<int>(pixels.height);
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height),
                        cairo_surface_destroy);
  check(cairo_surface_status(surface.get()));
  cairo_surface_flush(surface.get());
  auto* rows = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int64_t y = 0; y < pixels.height; ++y) {
    auto* row = reinterpret_cast<uint32_t*>(rows + y * stride);
    for (int64_t x = 0; x < pixels.width; ++x) {
      const uint8_t* pixel = pixels.bytes.data() + (y * pixels.width + x) * pixels.channels;
      const bool grey = pixels.channels == 1;
      row[x] = uint32_t{pixel[0]} << 16 | uint32_t{pixel[grey ? 0 : 1]} << 8 | pixel[grey ? 0 : 2];
    }
  }
  cairo_surface_mark_dirty(surface.get());
  cairo_save(context_);
  cairo_translate(context_, box.left, box.top);
  cairo_scale(context_, box.width / width, box.height / height);
  cairo_set_source_surface(context_, surface.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(context_), CAIRO_FILTER_NEAREST);
  cairo_pattern_set_extend(cairo_get_source(context_), CAIRO_EXTEND_PAD);
  cairo_rectangle(context_, 0, 0, width, height);
  cairo_fill(context_);
  cairo_restore(context_);
}

void Canvas::clipped(const Box& box, const std::function<void()>& draw) {
  cairo_save(context_);
  cairo_new_path(context_);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_clip(context_);
  draw();
  cairo_restore(context_);
}

std::string png_of(const Figure& figure, double pixels_per_point) {
  const auto width = static_cast<int>(std::lround(figure.width * pixels_per_point));
  const auto height = static_cast<int>(std::lround(figure.height * pixels_per_point));
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height),
                        cairo_surface_destroy);
  check(cairo_surface_status(surface.get()));
  draw_on(surface.get(), figure, pixels_per_point);
  std::string bytes;
  check(cairo_surface_write_to_png_stream(surface.get(), append, &bytes));
  return bytes;
}

std::string svg_of(const Figure& figure) {
  std::string bytes;
  const Surface surface(
      cairo_svg_surface_create_for_stream(append, &bytes, figure.width, figure.height),
      cairo_surface_destroy);
  check(cairo_surface_status(surface.get()));
  draw_on(surface.get(), figure, 1);
  cairo_surface_finish(surface.get());
  check(cairo_surface_status(surface.get()));
  return bytes;
}

}  // namespace elbow::launch::figures
