// Curves over epochs: panels beside each other, one legend for all. Several runs, or several splits
// of one, are several curves.
#pragma once

#include <string>
#include <vector>

#include "launch/figures/canvas.h"

namespace elbow::launch::figures {

struct Curve {
  std::string name;  // equal names share one line of the legend
  std::vector<double> x;
  std::vector<double> y;  // what is not finite interrupts the curve
  Colour colour;
  bool dashed = false;
};

struct CurvePanel {
  std::string title;
  std::string y_label;
  std::vector<Curve> curves;
};

// x are whole numbers, such as epochs or steps.
Figure curve_figure(const std::vector<CurvePanel>& panels, const std::string& x_label);

}  // namespace elbow::launch::figures
