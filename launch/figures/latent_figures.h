// Pictures of latent space: posteriors as ellipses, means by class, the aggregated posterior, and
// what each unit carries. Pure functions from numbers to figures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/figures/latent_plane.h"

namespace elbow::launch::figures {

// Posteriors of one epoch, in the order of its steps.
struct EpochPosteriors {
  int64_t epoch = 0;
  FlatGaussians posteriors;
};

// One panel an epoch: each posterior's ellipse at one standard deviation, red for the epoch's first
// step to violet for its last, the prior's circle of radius 1 in black, axes from -10 to 10 (after
// redonovan/VAE). Ellipses that are not finite are left out.
Figure posterior_ellipses(const std::vector<EpochPosteriors>& epochs, const Plane& plane);

// A dot an example at its mu, coloured by its class; one colour where `labels` is empty.
Figure latent_scatter(const FlatGaussians& codes, const std::vector<uint8_t>& labels,
                      const Plane& plane, const std::string& title);

// The density of q(z) = 1/N sum_i N(mu_i, sigma_i^2) in two latent units, exact in each cell, over
// circles of the prior's 1, 2 and 3 standard deviations; beside it each unit's marginal over the
// prior's. `codes` must be finite, at least one, and from a plane of two units.
Figure aggregated_posterior(const FlatGaussians& codes, const Plane& plane);

// What each latent unit carries, over the examples.
struct UnitStatistics {
  double kl_nats = 0;
  double sigma_mean = 0;
  double sigma_low = 0;   // 5 % quantile
  double sigma_high = 0;  // 95 %
};
std::vector<UnitStatistics> unit_statistics(const at::Tensor& mu, const at::Tensor& sigma);

// KL and sigma of each latent unit, the units in the order of their KL.
Figure latent_units(const std::vector<UnitStatistics>& units);

}  // namespace elbow::launch::figures
