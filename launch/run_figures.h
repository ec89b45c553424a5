// All figures of a run, and the numbers that belong to them. Pure.
#pragma once

#include <string>
#include <vector>

#include "launch/figures/canvas.h"
#include "launch/run_material.h"

namespace elbow::launch {

struct NamedFigure {
  std::string name;     // of its files, without ending
  std::string caption;  // one sentence: what it shows
  figures::Figure figure;
};

// Those for which the run has what they need, in the order of a report.
std::vector<NamedFigure> run_figures(const RunMaterial& run);

// The pictures of images among them, which may be drawn while training: the manifold at the prior's
// quantiles, and reconstructions.
NamedFigure manifold_figure(const ModelView& model);
NamedFigure reconstruction_figure(const ModelView& model);

// Those that the model has.
std::vector<NamedFigure> training_pictures(const ModelView& model);

// The same curves of several runs in each panel: held-out loss, reconstruction and KL.
NamedFigure curves_of_runs(const std::vector<RunMaterial>& runs);

// What the pictures show, in numbers.
struct RunNumbers {
  int64_t examples = 0;  // of the split below
  std::string split;
  // Share of examples whose |mu| is at most 1, 2, 5: within so many standard deviations of the
  // prior's mean.
  double mu_within_1sd = 0, mu_within_2sd = 0, mu_within_5sd = 0;
  // Mean of 4 p (1 - p) over the pixels of images decoded from draws of the prior: 0 where every
  // pixel is black or white, 1 where every pixel is grey.
  double sample_sharpness = 0;
};
RunNumbers numbers_of(const ModelView& model);

}  // namespace elbow::launch
