#include "launch/figures/colour_scale.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbow::launch::figures {

ColourScale::ColourScale(const std::vector<double>& values, std::string label)
    : label_(std::move(label)) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  known_ = low < high;
  if (known_) scale_ = {low, high, low > 0 && high >= 10 * low};
}

Colour ColourScale::of(double value) const {
  if (!known_) return line_colour(0);
  if (!std::isfinite(value)) return kMuted;
  return spectrum(std::clamp(scale_.share(value), 0.0, 1.0));
}

void ColourScale::draw_bar(Canvas& canvas, const Box& box) const {
  constexpr int kParts = 120;
  constexpr double kHeight = 6;
  if (!known_) return;
  for (int i = 0; i < kParts; ++i) {
    canvas.fill({box.left + box.width * i / kParts, box.top, box.width / kParts + 0.4, kHeight},
                spectrum(static_cast<double>(i) / (kParts - 1)));
  }
  const TextStyle words{
      .size = 7, .colour = kMuted, .across = Anchor::kMiddle, .along = Anchor::kStart};
  for (const auto& tick : ticks_of(scale_, /*wanted=*/4)) {
    const double x = box.left + box.width * scale_.share(tick.value);
    canvas.line({{x, box.top + kHeight}, {x, box.top + kHeight + 2}}, {.colour = kMuted});
    canvas.text({x, box.top + kHeight + 3}, tick.label, words);
  }
  canvas.text({box.left - 6, box.top + kHeight / 2}, label_,
              {.size = 8, .across = Anchor::kEnd, .along = Anchor::kMiddle});
}

}  // namespace elbow::launch::figures
