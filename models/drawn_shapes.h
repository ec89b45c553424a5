// Endless synthetic data: ten kinds of shapes drawn with a pen, each example a pure function of
// (seed, global index), so that nothing is stored and every rank and thread sees the same bytes.
// The factors behind an example are known: its shape is its label, the others are continuous.
//
// Plain C++ without library headers, with additions, products, quotients and roots only (each
// correctly rounded), so the bytes do not depend on the machine. draw_example() in drawn_shapes.cpp
// is the fast form for a whole example on the CPU.
#pragma once

#include "models/philox.h"

namespace elbow::models {

enum class DrawnShape : uint8_t {
  kLine,
  kCorner,
  kTee,
  kCross,
  kZigzag,
  kCup,
  kTriangle,
  kSquare,
  kRing,
  kHalfRing,
};
inline constexpr uint32_t kDrawnShapes = 10;

// Lengths are shares of the image's shorter side. The pen never touches the image's edge.
struct DrawnFactors {
  DrawnShape shape;
  float x, y;        // of the centre, from the image's centre; right and down are positive
  float size;        // radius of the circle around the shape: 0.16 .. 0.38
  float rotation;    // in whole turns, clockwise: [0, 1)
  float thickness;   // of the pen: 0.05 .. 0.14
  float brightness;  // of the pen: 0.5 .. 1
};

ELBOW_HOST_DEVICE DrawnFactors drawn_factors(uint64_t seed, uint32_t example) {
  const StreamKey key{seed, Purpose::kSyntheticData, /*time=*/0, example, /*draw=*/0};
  const Philox4 first = random_block(key, 0);
  const Philox4 second = random_block(key, 1);
  DrawnFactors f;
  f.shape = static_cast<DrawnShape>((uint64_t{first.word[0]} * kDrawnShapes) >> 32);
  f.size = 0.16f + 0.22f * uniform_open(first.word[1]);
  f.thickness = 0.05f + 0.09f * uniform_open(first.word[2]);
  f.rotation = uniform_open(first.word[3]);
  const float room = 0.47f - f.size - 0.5f * f.thickness;  // on each side of the centre
  f.x = room * (2 * uniform_open(second.word[0]) - 1);
  f.y = room * (2 * uniform_open(second.word[1]) - 1);
  f.brightness = 0.5f + 0.5f * uniform_open(second.word[2]);
  return f;
}

struct Point {
  float x, y;
};

// A shape ready to be painted, in pixels: straight strokes, or an arc.
struct Drawing {
  struct Stroke {
    Point begin, along;
    float per_square;  // 1 / |along|^2
  };
  static constexpr int kMostStrokes = 4;

  int strokes;  // 0: an arc
  Stroke stroke[kMostStrokes];
  Point centre;
  Point open;        // arc: unit vector towards its opening; zero for a ring
  float radius;      // of the arc
  float half_width;  // of the pen
  float level;       // of the pen, 0 .. 255
  float reach;       // no paint farther than this from the centre
};

// Cosine and sine of `turns` in [0, 1), by the series to the 9th power: right to 4e-6.
ELBOW_HOST_DEVICE Point unit_vector(float turns) {
  const auto sine_of_quarter = [](float share) {  // of [0, 1] of a quarter turn
    const float a = share * 1.5707964f;
    const float s = a * a;
    return a * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72))));
  };
  const int quarter = static_cast<int>(4 * turns);
  const float share = 4 * turns - static_cast<float>(quarter);
  const float sine = sine_of_quarter(share), cosine = sine_of_quarter(1 - share);
  switch (quarter) {
    case 0:
      return {cosine, sine};
    case 1:
      return {-sine, cosine};
    case 2:
      return {-cosine, -sine};
    default:
      return {sine, -cosine};
  }
}

// The corners of each shape's strokes within the unit circle: begin and end of one after another.
struct StrokePlan {
  int strokes;
  Point ends[2 * Drawing::kMostStrokes];
};

ELBOW_HOST_DEVICE StrokePlan stroke_plan(DrawnShape shape) {
  switch (shape) {
    case DrawnShape::kLine:
      return {1, {{-1, 0}, {1, 0}}};
    case DrawnShape::kCorner:
      return {2, {{-0.5f, -0.8f}, {-0.5f, 0.8f}, {-0.5f, 0.8f}, {0.6f, 0.8f}}};
    case DrawnShape::kTee:
      return {2, {{-0.8f, -0.6f}, {0.8f, -0.6f}, {0, -0.6f}, {0, 1}}};
    case DrawnShape::kCross:
      return {2, {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};
    case DrawnShape::kZigzag:
      return {3,
              {{-0.6f, -0.8f},
               {0.6f, -0.8f},
               {0.6f, -0.8f},
               {-0.6f, 0.8f},
               {-0.6f, 0.8f},
               {0.6f, 0.8f}}};
    case DrawnShape::kCup:
      return {3,
              {{-0.6f, -0.8f},
               {-0.6f, 0.8f},
               {-0.6f, 0.8f},
               {0.6f, 0.8f},
               {0.6f, 0.8f},
               {0.6f, -0.8f}}};
    case DrawnShape::kTriangle:
      return {3,
              {{0, -1}, {0.866f, 0.5f}, {0.866f, 0.5f}, {-0.866f, 0.5f}, {-0.866f, 0.5f}, {0, -1}}};
    case DrawnShape::kSquare:
      return {4,
              {{-0.7f, -0.7f},
               {0.7f, -0.7f},
               {0.7f, -0.7f},
               {0.7f, 0.7f},
               {0.7f, 0.7f},
               {-0.7f, 0.7f},
               {-0.7f, 0.7f},
               {-0.7f, -0.7f}}};
    case DrawnShape::kRing:
    case DrawnShape::kHalfRing:
      break;
  }
  return {0, {}};
}

ELBOW_HOST_DEVICE Drawing drawing_of(const DrawnFactors& f, int64_t height, int64_t width) {
  const auto side = static_cast<float>(height < width ? height : width);
  Drawing d;
  d.centre = {0.5f * static_cast<float>(width) + f.x * side,
              0.5f * static_cast<float>(height) + f.y * side};
  d.radius = f.size * side;
  d.half_width = 0.5f * f.thickness * side;
  d.level = 255 * f.brightness;
  d.reach = d.radius + d.half_width + 1;
  const Point turned = unit_vector(f.rotation);
  d.open = f.shape == DrawnShape::kRing ? Point{0, 0} : turned;
  const StrokePlan plan = stroke_plan(f.shape);
  const auto placed = [&](const Point& p) {
    return Point{d.centre.x + d.radius * (p.x * turned.x - p.y * turned.y),
                 d.centre.y + d.radius * (p.x * turned.y + p.y * turned.x)};
  };
  d.strokes = plan.strokes;
  for (int i = 0; i < plan.strokes; ++i) {
    const Point begin = placed(plan.ends[2 * i]), end = placed(plan.ends[2 * i + 1]);
    const Point along{end.x - begin.x, end.y - begin.y};
    d.stroke[i] = {begin, along, 1 / (along.x * along.x + along.y * along.y)};
  }
  return d;
}

// Squared distance of a pixel's middle from a stroke.
ELBOW_HOST_DEVICE float square_from_stroke(const Drawing::Stroke& stroke, float x, float y) {
  const float dx = x - stroke.begin.x, dy = y - stroke.begin.y;
  float share = (dx * stroke.along.x + dy * stroke.along.y) * stroke.per_square;
  share = share < 0 ? 0 : share;
  share = share > 1 ? 1 : share;
  const float rx = dx - share * stroke.along.x, ry = dy - share * stroke.along.y;
  return rx * rx + ry * ry;
}

// The same from the arc. On the open side the nearest point is one of its two ends.
ELBOW_HOST_DEVICE float square_from_arc(const Drawing& d, float x, float y) {
  const float dx = x - d.centre.x, dy = y - d.centre.y;
  const float square = dx * dx + dy * dy;
  const float off_circle = __builtin_sqrtf(square) - d.radius;
  const float towards_opening = dx * d.open.x + dy * d.open.y;
  float beside = dx * d.open.y - dy * d.open.x;
  beside = beside < 0 ? -beside : beside;
  const float off_end = beside - d.radius;
  const float from_end = off_end * off_end + towards_opening * towards_opening;
  const float from_circle = off_circle * off_circle;
  return towards_opening > 0 ? from_end : from_circle;
}

// A pixel is as bright as the share of it that the pen covers, measured along the distance.
ELBOW_HOST_DEVICE uint8_t paint(const Drawing& d, float square) {
  float cover = d.half_width + 0.5f - __builtin_sqrtf(square);
  cover = cover < 0 ? 0 : cover;
  cover = cover > 1 ? 1 : cover;
  return static_cast<uint8_t>(static_cast<int32_t>(cover * d.level + 0.5f));
}

#ifndef __CUDACC_RTC__
// The bytes of one example, row by row, into out[height * width]. Any thread.
void draw_example(uint64_t seed, uint32_t example, int64_t height, int64_t width, uint8_t* out);
#endif

}  // namespace elbow::models
