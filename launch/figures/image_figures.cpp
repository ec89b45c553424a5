#include "launch/figures/image_figures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/figures/axes.h"

namespace elbow::launch::figures {
namespace {

constexpr double kTop = 16;
const TextStyle kTitle{.size = 8.5, .bold = true, .across = Anchor::kMiddle};

// Inverse of the normal cdf: bisection, because nothing depends on its speed.
double normal_quantile(double probability) {
  double low = -10, high = 10;
  while (high - low > 1e-12) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

// Points a pixel: as large as fits into `longest` points, whole pixels of the PNG where they fit.
double pixel_size(int64_t pixels, double longest) {
  const double size = longest * kPixelsPerPoint / static_cast<double>(pixels);
  return (size >= 1 ? std::floor(size) : size) / kPixelsPerPoint;
}

// A mark at the middle of some images of a row, so that their words do not touch.
std::vector<Tick> image_ticks(const std::vector<double>& coordinates) {
  std::vector<Tick> ticks;
  const auto step = std::max<size_t>(1, (coordinates.size() + 6) / 7);
  for (size_t i = (coordinates.size() - 1) % step / 2; i < coordinates.size(); i += step) {
    const double rounded = std::round(coordinates[i] * 100) / 100;
    auto label = fmt::format("{:.2f}", rounded == 0 ? 0.0 : rounded);
    if (label.starts_with("-")) label.replace(0, 1, "\u2212");
    ticks.push_back({static_cast<double>(i) + 0.5, label});
  }
  return ticks;
}

void draw_sheet(Canvas& canvas, const Point& at, const Pixels& sheet, double size) {
  canvas.picture({at.x, at.y, size * static_cast<double>(sheet.width),
                  size * static_cast<double>(sheet.height)},
                 sheet);
}

}  // namespace

Pixels tiled(const at::Tensor& images, const ImageShape& shape, int64_t columns, int64_t gap) {
  const int64_t count = images.size(0), rows = (count + columns - 1) / columns;
  Pixels sheet{.width = columns * (shape.width + gap) - gap,
               .height = rows * (shape.height + gap) - gap,
               .channels = shape.channels};
  sheet.bytes.assign(sheet.width * sheet.height * sheet.channels, 255);
  const auto bytes = (images.to(at::kCPU, at::kFloat).nan_to_num(0).clamp(0, 1) * 255)
                         .round()
                         .to(at::kByte)
                         .contiguous();
  const auto* source = bytes.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = i / columns * (shape.height + gap);
    const int64_t left = i % columns * (shape.width + gap);
    const int64_t line = shape.width * shape.channels;
    for (int64_t y = 0; y < shape.height; ++y, source += line)
      std::copy_n(source, line,
                  sheet.bytes.data() + ((top + y) * sheet.width + left) * sheet.channels);
  }
  return sheet;
}

std::string sheet_png(const at::Tensor& images, const ImageShape& shape, int64_t columns) {
  const auto sheet = tiled(images, shape, columns, /*gap=*/2);
  const int64_t longest = std::max(sheet.width, sheet.height);
  const Figure figure{.width = static_cast<double>(sheet.width),
                      .height = static_cast<double>(sheet.height),
                      .draw = [&](Canvas& canvas) {
                        draw_sheet(canvas, {0, 0}, sheet, /*size=*/1);
                      }};
  return png_of(figure, static_cast<double>((600 + longest - 1) / longest));
}

std::vector<double> prior_quantiles(int count) {
  std::vector<double> z;
  for (const double probability : even_range(0.05, 0.95, count))
    z.push_back(normal_quantile(probability));
  return z;
}

std::vector<double> even_range(double low, double high, int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    values.push_back(count == 1 ? (low + high) / 2 : low + (high - low) * i / (count - 1));
  return values;
}

GridPoints grid_points(const std::vector<double>& coordinates, const Plane& plane) {
  GridPoints points;
  const size_t rows = plane.is_line() ? 1 : coordinates.size();
  for (size_t row = 0; row < rows; ++row) {
    for (const double x : coordinates) {
      points.x.push_back(x);
      points.y.push_back(plane.is_line() ? 0.0 : coordinates[rows - 1 - row]);
    }
  }
  return points;
}

Figure decoded_grid(const at::Tensor& decoded, const ImageShape& shape,
                    const std::vector<double>& coordinates, const Plane& plane,
                    const std::string& title) {
  const auto sheet = tiled(decoded, shape, std::ssize(coordinates), /*gap=*/0);
  const double size = pixel_size(sheet.width, 300);
  const double width = size * static_cast<double>(sheet.width);
  const double height = size * static_cast<double>(sheet.height);
  const double left = plane.is_line() ? 8 : 46, bottom = 28;
  return {.width = left + width + 8,
          .height = kTop + height + bottom,
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            canvas.text({left + width / 2, kTop - 5}, title, kTitle);
            draw_sheet(canvas, {left, kTop}, sheet, size);
            const double cell = width / static_cast<double>(coordinates.size());
            const TextStyle words{.size = 7, .colour = kMuted};
            auto below = words, beside = words;
            below.across = Anchor::kMiddle;
            below.along = Anchor::kStart;
            beside.across = Anchor::kEnd;
            beside.along = Anchor::kMiddle;
            for (const auto& tick : image_ticks(coordinates)) {
              canvas.text({left + cell * tick.value, kTop + height + 3}, tick.label, below);
              if (!plane.is_line())
                canvas.text({left - 3, kTop + height - cell * tick.value}, tick.label, beside);
            }
            canvas.text({left + width / 2, kTop + height + 14}, plane.across_label,
                        {.across = Anchor::kMiddle, .along = Anchor::kStart});
            if (!plane.is_line())
              canvas.text({11, kTop + height / 2}, plane.upwards_label,
                          {.across = Anchor::kMiddle, .upwards = true});
          }};
}

Figure reconstructions(const at::Tensor& originals, const at::Tensor& decoded,
                       const ImageShape& shape, int64_t columns) {
  constexpr double kLeft = 46, kBetween = 5;
  const int64_t count = originals.size(0), pairs = (count + columns - 1) / columns;
  const double size = pixel_size(columns * shape.width, 300);
  const double width = size * static_cast<double>(columns * shape.width);
  const double line = size * static_cast<double>(shape.height);
  return {.width = kLeft + width + 4,
          .height = 4 + static_cast<double>(pairs) * (2 * line + kBetween),
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            double y = 4;
            const TextStyle words{
                .size = 7, .colour = kMuted, .across = Anchor::kEnd, .along = Anchor::kMiddle};
            for (int64_t pair = 0; pair < pairs; ++pair) {
              const int64_t begin = pair * columns, some = std::min(columns, count - begin);
              for (const auto& [images, name] :
                   {std::pair{originals, "original"}, std::pair{decoded, "decoded"}}) {
                const auto row = tiled(images.narrow(0, begin, some), shape, some, /*gap=*/0);
                draw_sheet(canvas, {kLeft, y}, row, size);
                canvas.text({kLeft - 5, y + line / 2}, name, words);
                y += line;
              }
              y += kBetween;
            }
          }};
}

Figure image_sheet(const at::Tensor& images, const ImageShape& shape, int64_t columns,
                   const std::string& title) {
  const auto sheet = tiled(images, shape, columns, /*gap=*/2);
  const double size = pixel_size(sheet.width, 300);
  const double width = size * static_cast<double>(sheet.width);
  return {.width = width + 8,
          .height = kTop + size * static_cast<double>(sheet.height) + 4,
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            canvas.text({4 + width / 2, kTop - 5}, title, kTitle);
            draw_sheet(canvas, {4, kTop}, sheet, size);
          }};
}

}  // namespace elbow::launch::figures
