// Pictures of many trials: rate against distortion, numbers by weight, curves by epoch. Pure
// functions from numbers to figures.
#pragma once

#include <string>
#include <vector>

#include "launch/figures/canvas.h"

namespace elbow::launch::figures {

// One configuration: means over its seeds, and their standard deviations (0: one seed).
struct RatePoint {
  double weight = 0;                                // of the KL; NaN where it is not known
  double rate = 0, rate_deviation = 0;              // nats per example
  double distortion = 0, distortion_deviation = 0;  // nats per example
  bool on_frontier = false;
};

// Points with error bars of one standard deviation, coloured by weight; the frontier joined by a
// line; dashed lines of equal ELBO (rate + distortion). Points that are not finite are left out.
Figure rate_distortion_figure(const std::vector<RatePoint>& points, const std::string& weight_name);

// A dot a trial, a panel a number, over the weight of the KL (logarithmic where it spans a factor
// of ten), or over whatever x is; the line joins the means of equal x.
struct TrialPanel {
  std::string title;
  std::string y_label;
  std::vector<double> y;  // by trial; not finite: left out
};
Figure trial_dots(const std::vector<double>& x, const std::string& x_label,
                  const std::vector<TrialPanel>& panels);

// A curve a trial by epoch, coloured by weight. Trials that were stopped are faint and end in a
// cross, failed ones likewise; the best is drawn over all, thick and black.
enum class CurveEnd { kGoesOn, kComplete, kPruned, kFailed };
struct TrialCurve {
  std::vector<double> epochs;
  std::vector<double> values;
  double weight = 0;
  CurveEnd end = CurveEnd::kComplete;
  bool best = false;
};
Figure epoch_curves(const std::vector<TrialCurve>& curves, const std::string& metric,
                    const std::string& weight_name);

}  // namespace elbow::launch::figures
