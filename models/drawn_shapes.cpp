#include "models/drawn_shapes.h"

#include <algorithm>
#include <cstring>

#include "models/simd.h"

namespace elbow::models {
namespace {

constexpr int64_t kLanes = 16;  // pixels at once: whole vectors for every instruction set

// Rows [top, bottom) of `height` that the drawing can reach; the same for columns.
int64_t first_reached(float centre, float reach) {
  return std::max<int64_t>(0, static_cast<int64_t>(centre - reach));
}
int64_t last_reached(float centre, float reach, int64_t end) {
  return std::min(end, static_cast<int64_t>(centre + reach) + 1);
}

ELBOW_SIMD void paint_rows(const Drawing& drawing, int64_t top, int64_t bottom, int64_t left,
                           int64_t right, int64_t width, uint8_t* out) {
  const Drawing d = drawing;  // a copy that `out` cannot alias
  for (int64_t row = top; row < bottom; ++row) {
    const float y = static_cast<float>(row) + 0.5f;
    for (int64_t column = left; column < right; column += kLanes) {
      float square[kLanes];
      const float x = static_cast<float>(column) + 0.5f;
      if (d.strokes == 0) {
        for (int l = 0; l < kLanes; ++l)
          square[l] = square_from_arc(d, x + static_cast<float>(l), y);
      } else {
        for (int l = 0; l < kLanes; ++l)
          square[l] = square_from_stroke(d.stroke[0], x + static_cast<float>(l), y);
        for (int i = 1; i < d.strokes; ++i) {
          for (int l = 0; l < kLanes; ++l) {
            const float other = square_from_stroke(d.stroke[i], x + static_cast<float>(l), y);
            square[l] = other < square[l] ? other : square[l];
          }
        }
      }
      uint8_t bytes[kLanes];
      for (int l = 0; l < kLanes; ++l) bytes[l] = paint(d, square[l]);
      std::memcpy(out + row * width + column, bytes,
                  static_cast<size_t>(std::min(kLanes, right - column)));
    }
  }
}

}  // namespace

void draw_example(uint64_t seed, uint32_t example, int64_t height, int64_t width, uint8_t* out) {
  const Drawing d = drawing_of(drawn_factors(seed, example), height, width);
  std::memset(out, 0, static_cast<size_t>(height * width));
  paint_rows(d, first_reached(d.centre.y, d.reach), last_reached(d.centre.y, d.reach, height),
             first_reached(d.centre.x, d.reach), last_reached(d.centre.x, d.reach, width), width,
             out);
}

}  // namespace elbow::models
