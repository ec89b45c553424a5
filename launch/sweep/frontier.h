// Rate against distortion: what each configuration paid in KL (rate) for its reconstruction
// (distortion), in nats per example, over its seeds (Alemi et al. 2018, "Fixing a broken ELBO",
// section 2). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/sweep/sweep_results.h"

namespace elbow::launch::sweep {

// Mean and sample standard deviation over seeds; 0 for one seed.
struct Spread {
  double mean = 0;
  double deviation = 0;
};

struct FrontierPoint {
  std::vector<std::string> values;  // of the axes
  double kl_wt = 0;                 // attribute "kl_wt"; NaN where it is not known
  double beta = 0;
  int64_t seeds = 0;  // complete trials
  Spread rate;        // kl_nats
  Spread distortion;  // recon_nats
  Spread elbo;        // elbo_nats
  Spread active_units;
  bool on_frontier = false;  // no other point has both less rate and less distortion
};

// The configurations with complete trials that have kl_nats and recon_nats, by increasing rate.
std::vector<FrontierPoint> rate_distortion(const SweepResults& results);

// frontier.csv: a point a line.
std::string frontier_csv(const SweepResults& results, const std::vector<FrontierPoint>& points);

}  // namespace elbow::launch::sweep
