// Small multiples of posteriors: one panel a trial, all on one scale. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/latent_plane.h"

namespace elbow::launch::figures {

struct PosteriorPanel {
  std::string title;  // "kl_wt 0.001"
  FlatGaussians codes;
  Plane plane;
  std::vector<uint8_t> labels{};  // by example; empty: unknown
};

// A dot an example at its mu, coloured by its class, and the ellipses (one standard deviation) of
// the first few; circles of the prior's 1 and 2 standard deviations.
Figure posterior_panels(const std::vector<PosteriorPanel>& panels);

}  // namespace elbow::launch::figures
