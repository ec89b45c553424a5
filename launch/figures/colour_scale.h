// Colours that stand for a number, and the bar that explains them.
#pragma once

#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/ticks.h"

namespace elbow::launch::figures {

// Red for the lowest number to violet for the highest.
class ColourScale {
 public:
  // Around the values that are finite; logarithmic where they are positive and span a factor of
  // ten.
  ColourScale(const std::vector<double>& values, std::string label);

  bool known() const { return known_; }  // whether there are two different values
  bool logarithmic() const { return scale_.logarithmic; }
  Colour of(double value) const;  // one colour for all where !known(); grey where not finite
  // The bar with its numbers and label: as wide as the box, from its top; about 24 points high.
  void draw_bar(Canvas& canvas, const Box& box) const;

 private:
  Scale scale_;
  std::string label_;
  bool known_ = false;
};

}  // namespace elbow::launch::figures
