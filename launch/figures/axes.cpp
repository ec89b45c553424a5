#include "launch/figures/axes.h"

#include <algorithm>
#include <cmath>

namespace elbow::launch::figures {
namespace {

const TextStyle kTickText{.size = 7, .colour = kMuted};
const TextStyle kLabelText{.size = 8};
const TextStyle kTitleText{.size = 8.5, .bold = true};
constexpr double kGap = 3;      // between words and what they belong to
constexpr double kSample = 14;  // a line in the legend

TextStyle anchored(TextStyle style, Anchor across, Anchor along) {
  style.across = across;
  style.along = along;
  return style;
}

void sample(Canvas& canvas, const Point& start, const LegendEntry& entry) {
  if (entry.dot) {
    canvas.disc({start.x + kSample / 2, start.y}, 2.4, entry.colour);
    return;
  }
  Stroke stroke{.colour = entry.colour, .width = 1.4};
  if (entry.dashed) stroke.dash = {3, 2};
  canvas.line({start, {start.x + kSample, start.y}}, stroke);
}

}  // namespace

Axes::Axes(Canvas& canvas, const Box& outer, const AxesSpec& spec) : canvas_(canvas), spec_(spec) {
  const int wanted_y = std::clamp(static_cast<int>(outer.height / 30), 3, 7);
  const int wanted_x = std::clamp(static_cast<int>(outer.width / 40), 2, 8);
  const int wanted = std::min(wanted_x, wanted_y);  // equal scales get equal marks
  const auto x_ticks =
      spec.x_ticks ? *spec.x_ticks : ticks_of(spec.x, spec.equal ? wanted : wanted_x);
  const auto y_ticks =
      spec.y_ticks ? *spec.y_ticks : ticks_of(spec.y, spec.equal ? wanted : wanted_y);
  place(outer, y_ticks);
  draw_frame(x_ticks, y_ticks);
}

void Axes::place(const Box& outer, const std::vector<Tick>& y_ticks) {
  double widest = 0;
  for (const auto& tick : y_ticks)
    widest = std::max(widest, canvas_.width_of(tick.label, kTickText));
  const double left =
      std::max((spec_.y_label.empty() ? 0 : 12) + widest + 2 * kGap, spec_.least_left);
  const double bottom = (spec_.x_label.empty() ? 4 : 14) + 11;
  const double top = spec_.title.empty() ? 6 : 16;
  constexpr double kRight = 8;  // half of the last mark's label
  inside_ = {outer.left + left, outer.top + top, outer.width - left - kRight,
             outer.height - top - bottom};
  if (!spec_.equal) return;
  const double x_extent = spec_.x.high - spec_.x.low, y_extent = spec_.y.high - spec_.y.low;
  const double unit = std::min(inside_.width / x_extent, inside_.height / y_extent);
  const double width = unit * x_extent, height = unit * y_extent;
  inside_ = {inside_.left + (inside_.width - width) / 2, inside_.top, width, height};
}

void Axes::draw_frame(const std::vector<Tick>& x_ticks, const std::vector<Tick>& y_ticks) {
  const Stroke grid{.colour = kGridLine, .width = 0.5};
  for (const auto& tick : x_ticks) {
    const double x = at(tick.value, spec_.y.low).x;
    if (spec_.grid) canvas_.line({{x, inside_.top}, {x, inside_.bottom()}}, grid);
    canvas_.text({x, inside_.bottom() + kGap}, tick.label,
                 anchored(kTickText, Anchor::kMiddle, Anchor::kStart));
  }
  double widest = 0;
  for (const auto& tick : y_ticks) {
    const double y = at(spec_.x.low, tick.value).y;
    if (spec_.grid) canvas_.line({{inside_.left, y}, {inside_.right(), y}}, grid);
    canvas_.text({inside_.left - kGap, y}, tick.label,
                 anchored(kTickText, Anchor::kEnd, Anchor::kMiddle));
    widest = std::max(widest, canvas_.width_of(tick.label, kTickText));
  }
  canvas_.frame(inside_, {.colour = kMuted, .width = 0.6});
  if (!spec_.title.empty())
    canvas_.text({inside_.middle_x(), inside_.top - 5}, spec_.title,
                 anchored(kTitleText, Anchor::kMiddle, Anchor::kEnd));
  if (!spec_.x_label.empty())
    canvas_.text({inside_.middle_x(), inside_.bottom() + 14}, spec_.x_label,
                 anchored(kLabelText, Anchor::kMiddle, Anchor::kStart));
  if (!spec_.y_label.empty()) {
    auto style = anchored(kLabelText, Anchor::kMiddle, Anchor::kEnd);
    style.upwards = true;
    canvas_.text({inside_.left - 2 * kGap - widest - 2, inside_.middle_y()}, spec_.y_label, style);
  }
}

Point Axes::at(double x, double y) const {
  // Cairo's coordinates end at about 8 million; far outside is far enough.
  const auto share = [](const Scale& scale, double value) {
    return std::clamp(scale.share(value), -100.0, 100.0);
  };
  return {inside_.left + inside_.width * share(spec_.x, x),
          inside_.bottom() - inside_.height * share(spec_.y, y)};
}

double Axes::points_per_x() const { return inside_.width / (spec_.x.high - spec_.x.low); }

void Axes::curve(const std::vector<double>& x, const std::vector<double>& y, const Stroke& stroke) {
  within([&] {
    std::vector<Point> piece;
    const auto end_piece = [&] {
      if (piece.size() == 1) canvas_.disc(piece[0], stroke.width, stroke.colour);
      if (piece.size() > 1) canvas_.line(piece, stroke);
      piece.clear();
    };
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!std::isfinite(y[i])) {
        end_piece();
      } else {
        piece.push_back(at(x[i], y[i]));
      }
    }
    end_piece();
  });
}

void Axes::discs(const std::vector<double>& x, const std::vector<double>& y, double radius,
                 const Colour& colour) {
  within([&] {
    for (size_t i = 0; i < x.size(); ++i)
      if (std::isfinite(x[i]) && std::isfinite(y[i])) canvas_.disc(at(x[i], y[i]), radius, colour);
  });
}

void Axes::circle(double radius, const Stroke& stroke) {
  within([&] { canvas_.ring(at(0, 0), radius * points_per_x(), stroke); });
}

void Axes::ellipse(double x, double y, const std::array<double, 3>& covariance,
                   const Stroke& stroke) {
  within([&] {
    canvas_.ellipse(at(x, y), covariance,
                    {points_per_x(), inside_.height / (spec_.y.high - spec_.y.low)}, stroke);
  });
}

void Axes::bar(double x, double from, double to, double width, const Colour& colour) {
  cell(x - width / 2, from, x + width / 2, to, colour);
}

void Axes::cell(double left, double bottom, double right, double top, const Colour& colour) {
  const auto a = at(left, top), b = at(right, bottom);
  within([&] { canvas_.fill({a.x, a.y, b.x - a.x, b.y - a.y}, colour); });
}

void Axes::legend(const std::vector<LegendEntry>& entries, Corner corner) {
  constexpr double kLine = 10, kAround = 4;
  double widest = 0;
  for (const auto& entry : entries)
    widest = std::max(widest, canvas_.width_of(entry.name, {.size = 7}));
  const double width = widest + kSample + kGap + 2 * kAround;
  const double height = kLine * static_cast<double>(entries.size()) + 4;
  const bool right = corner == Corner::kTopRight || corner == Corner::kBottomRight;
  const bool top = corner == Corner::kTopLeft || corner == Corner::kTopRight;
  const Box box{right ? inside_.right() - width - 3 : inside_.left + 3,
                top ? inside_.top + 3 : inside_.bottom() - height - 3, width, height};
  canvas_.fill(box, kPaper.faded(0.85));
  double y = box.top + 2 + kLine / 2;
  for (const auto& entry : entries) {
    sample(canvas_, {box.left + kAround, y}, entry);
    canvas_.text({box.left + kAround + kSample + kGap, y}, entry.name,
                 {.size = 7, .along = Anchor::kMiddle});
    y += kLine;
  }
}

double legend_row(Canvas& canvas, Point start, const std::vector<LegendEntry>& entries) {
  for (const auto& entry : entries) {
    sample(canvas, start, entry);
    const double words = start.x + kSample + kGap;
    canvas.text({words, start.y}, entry.name, {.size = 7, .along = Anchor::kMiddle});
    start.x = words + canvas.width_of(entry.name, {.size = 7}) + 9;
  }
  return start.x;
}

}  // namespace elbow::launch::figures
