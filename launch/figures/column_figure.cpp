#include "launch/figures/column_figure.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace elbow::launch::figures {
namespace {

constexpr double kEdge = 6, kTitle = 16, kHeads = 14, kBetween = 8;  // points
constexpr int64_t kGap = 1;                                          // pixels
constexpr double kWidest = 460;

}  // namespace

Figure column_figure(const std::vector<ColumnGroup>& groups, const ImageShape& shape,
                     const std::string& title) {
  std::vector<Pixels> sheets;
  int64_t pixels = 0;
  for (const auto& group : groups) {
    sheets.push_back(tiled(group.images.flatten(0, 1), shape, group.images.size(1), kGap));
    pixels += sheets.back().width;
  }
  const double room = kWidest - kBetween * static_cast<double>(groups.size() - 1);
  const double size = std::clamp(room / static_cast<double>(pixels), 1 / kPixelsPerPoint, 2.0);
  double width = 2 * kEdge + kBetween * static_cast<double>(groups.size() - 1);
  for (const auto& sheet : sheets) width += size * static_cast<double>(sheet.width);
  const double height = size * static_cast<double>(sheets.at(0).height);
  return {.width = width,
          .height = kTitle + kHeads + height + kEdge,
          .line_art = false,
          .draw = [=](Canvas& canvas) {
            canvas.text({width / 2, kTitle - 4}, title,
                        {.size = 8.5, .bold = true, .across = Anchor::kMiddle});
            double x = kEdge;
            for (size_t g = 0; g < sheets.size(); ++g) {
              const double across = size * static_cast<double>(sheets[g].width);
              canvas.text({x + across / 2, kTitle + kHeads - 4}, groups[g].title,
                          {.size = 7, .colour = kMuted, .across = Anchor::kMiddle});
              canvas.picture({x, kTitle + kHeads, across, height}, sheets[g]);
              x += across + kBetween;
            }
          }};
}

}  // namespace elbow::launch::figures
