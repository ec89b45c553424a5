// Where an axis has its marks and what stands beside them. Pure.
#pragma once

#include <string>
#include <vector>

namespace elbow::launch::figures {

// A range of values along an axis, low < high; logarithmic ones are positive.
struct Scale {
  double low = 0;
  double high = 1;
  bool logarithmic = false;

  double share(double value) const;  // 0 at low, 1 at high
};

// The smallest scale with some room around the values that are finite (and, where logarithmic,
// positive); [0, 1] where there are none.
Scale scale_around(const std::vector<double>& values, bool logarithmic = false, double room = 0.05);

struct Tick {
  double value;
  std::string label;
};

// Linear: about `wanted` multiples of 1, 2 or 5 times a power of ten within the scale.
// Logarithmic: powers of ten, with 2 and 5 between them where that leaves too few.
std::vector<Tick> ticks_of(const Scale& scale, int wanted = 5);
// The same of whole numbers alone, such as epochs; a linear scale.
std::vector<Tick> whole_ticks(const Scale& scale, int wanted = 5);

}  // namespace elbow::launch::figures
