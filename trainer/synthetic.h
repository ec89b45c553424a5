// Drawn shapes (models/drawn_shapes.h) as a source of examples: as many as wanted, none stored.
#pragma once

#include <cstdint>
#include <memory>

#include "trainer/example_source.h"

namespace elbow::trainer {

struct DrawnExamples {
  uint64_t seed;
  int64_t height, width;
  int64_t first_index;  // global index of the first example; names what is drawn
  int64_t examples;     // first_index + examples is at most 2^32
};

// The factors behind an example as numbers: the shape as one of ten, then x and y of the centre (as
// shares of the room that the size leaves), size, cosine and sine of the rotation, thickness and
// brightness, each from -1 to 1.
inline constexpr int64_t kDrawnAttributes = 17;

std::shared_ptr<const ExampleSource> make_drawn_examples(const DrawnExamples& what);

}  // namespace elbow::trainer
