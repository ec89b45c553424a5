// Colours that people with any colour vision can tell apart.
#pragma once

#include <cstdint>

namespace elbow::launch::figures {

// Red, green and blue from 0 to 1, and how much it covers.
struct Colour {
  double red = 0;
  double green = 0;
  double blue = 0;
  double alpha = 1;
  Colour faded(double by) const { return {red, green, blue, by}; }
};

inline constexpr Colour kInk{0.12, 0.12, 0.14};
inline constexpr Colour kMuted{0.42, 0.43, 0.46};
inline constexpr Colour kGridLine{0.88, 0.89, 0.91};
inline constexpr Colour kPaper{1, 1, 1};

// For a few curves: Okabe & Ito 2008 without black and yellow, again from the first after seven.
Colour line_colour(int64_t index);
// For one of `count` curves: the same where they suffice, else along the spectrum.
Colour line_colour(int64_t index, int64_t count);
// For ten classes as clouds of points: Petroff 2021 (arXiv:2107.02270), again from the first after
// ten.
Colour class_colour(int64_t index);
// Red (0) over yellow, green and blue to violet (1).
Colour spectrum(double position);
// White (0) to dark blue (1), with even steps of lightness: for densities.
Colour density_colour(double position);

// "#0072b2"
struct HexColour {
  char text[8];
};
HexColour hex(const Colour& colour);

}  // namespace elbow::launch::figures
