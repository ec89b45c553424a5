#include "launch/run_figures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "launch/drawn_pictures.h"
#include "launch/figures/curve_figure.h"
#include "launch/figures/latent_figures.h"

namespace elbow::launch {
namespace {

using figures::Curve;
using figures::CurvePanel;

constexpr int kQuantiles = 15, kRange = 30;
constexpr double kRangeEnd = 9;
constexpr int64_t kShownSamples = 100;

// The numbers that curves are drawn of: name in metrics.jsonl, title, unit.
struct Drawn {
  const char* number;
  const char* title;
  const char* unit;
};
constexpr Drawn kLoss{"loss", "loss, as optimised", ""};
constexpr Drawn kReconstruction{"recon_nats", "reconstruction", "nats per example"};
constexpr Drawn kKl{"kl_nats", "KL to the prior", "nats per example"};

Curve curve_of(const std::vector<MetricsLine>& lines, const std::string& split, const Drawn& drawn,
               const std::string& name, const figures::Colour& colour) {
  auto history = history_of(lines, split, drawn.number);
  return {.name = name,
          .x = std::move(history.epochs),
          .y = std::move(history.values),
          .colour = colour};
}

NamedFigure loss_figure(const RunMaterial& run) {
  const auto held_out = held_out_split(run.metrics);
  std::vector<CurvePanel> panels;
  for (const auto& drawn : {kLoss, kReconstruction, kKl}) {
    CurvePanel panel{.title = drawn.title, .y_label = drawn.unit};
    panel.curves.push_back(curve_of(run.metrics, "train", drawn, "train", figures::line_colour(0)));
    if (!held_out.empty())
      panel.curves.push_back(
          curve_of(run.metrics, held_out, drawn, held_out, figures::line_colour(1)));
    panels.push_back(std::move(panel));
  }
  return {"loss_curves",
          "Loss on the scale that is optimised, reconstruction and KL, by epoch; train is the mean "
          "over the epoch as trained.",
          figures::curve_figure(panels, "epoch")};
}

NamedFigure ellipse_figure(const std::map<int64_t, at::Tensor>& traces) {
  // The newest trace says where the posteriors ended; its units are the plane of both panels.
  const auto& newest = traces.rbegin()->second;
  const auto known = newest.select(1, 0).isfinite().all(1).nonzero().squeeze(1);
  const auto plane = figures::active_plane(newest.select(1, 0).index_select(0, known));
  std::vector<figures::EpochPosteriors> epochs;
  for (const auto& [epoch, trace] : traces)
    epochs.push_back({epoch, figures::on_plane(plane, trace.select(1, 0), trace.select(1, 1))});
  return {"posterior_ellipses",
          "The posterior (μ ± σ) of the first example of each batch, as trained, red for the "
          "epoch's first batch to violet for its last; the prior's circle of radius 1 in black.",
          figures::posterior_ellipses(epochs, plane)};
}

NamedFigure scatter_figure(const ModelView& model, const char* name, const figures::Plane& plane) {
  const auto flat = figures::on_plane(plane, model.posteriors.mu, model.posteriors.sigma);
  return {name,
          fmt::format("Posterior means of {} {} examples{}; circles at 1 and 2 standard deviations "
                      "of the prior.",
                      flat.x.size(), model.split, model.labels.empty() ? "" : ", by class"),
          figures::latent_scatter(flat, model.labels, plane, "posterior means")};
}

NamedFigure grid_figure(const ModelView& model, const char* name,
                        const std::vector<double>& coordinates, const std::string& title,
                        const std::string& caption) {
  const auto plane = figures::active_plane(model.posteriors.mu);
  const auto points = figures::grid_points(coordinates, plane);
  const auto decoded = model.decode(figures::from_plane(plane, points.x, points.y));
  return {name, caption, figures::decoded_grid(decoded, model.shape, coordinates, plane, title)};
}

// Without the examples whose posterior is not finite.
ModelView finite_part(ModelView model) {
  auto& [mu, sigma] = model.posteriors;
  const auto finite = at::isfinite(mu).logical_and(at::isfinite(sigma)).all(1);
  if (finite.all().item<bool>()) return model;
  const auto known = finite.nonzero().squeeze(1);
  if (!model.labels.empty()) {
    std::vector<uint8_t> labels;
    for (int64_t i = 0; i < known.size(0); ++i)
      labels.push_back(model.labels[known[i].item<int64_t>()]);
    model.labels = std::move(labels);
  }
  mu = mu.index_select(0, known);
  sigma = sigma.index_select(0, known);
  return model;
}

void add_model_figures(const ModelView& model, std::vector<NamedFigure>& all) {
  const auto& [mu, sigma] = model.posteriors;
  if (mu.size(0) == 0) return;
  if (model.conditions) {
    all.push_back(
        {"conditions", "What the model draws of a condition.",
         figures::column_figure(model.conditions->columns, model.shape, model.conditions->title)});
  }
  if (mu.size(1) == 0) return all.push_back(reconstruction_figure(model));
  const auto plane = figures::active_plane(mu);
  all.push_back(scatter_figure(model, "latent_scatter", plane));
  if (mu.size(1) > 2)
    all.push_back(scatter_figure(model, "latent_scatter_axes", figures::principal_plane(mu)));
  all.push_back({"aggregated_posterior",
                 fmt::format("The mean of the posteriors of {} {} examples against the prior.",
                             mu.size(0), model.split),
                 figures::aggregated_posterior(figures::on_plane(plane, mu, sigma), plane)});
  all.push_back({"latent_units",
                 "What each latent unit carries: KL in nats (grey: below 0.01), and the width of "
                 "the posterior, whose prior is 1.",
                 figures::latent_units(figures::unit_statistics(mu, sigma))});
  all.push_back(manifold_figure(model));
  all.push_back(
      grid_figure(model, "manifold_range", figures::even_range(-kRangeEnd, kRangeEnd, kRange),
                  "decoded images on a range",
                  fmt::format("Images decoded on an even grid from −{0:g} to {0:g}.", kRangeEnd)));
  all.push_back(reconstruction_figure(model));
  all.push_back({"prior_samples", "Images decoded from draws of the prior.",
                 figures::image_sheet(model.samples.narrow(0, 0, kShownSamples), model.shape,
                                      /*columns=*/10, "samples from the prior")});
}

}  // namespace

std::vector<NamedFigure> run_figures(const RunMaterial& run) {
  std::vector<NamedFigure> all;
  if (!run.metrics.empty()) all.push_back(loss_figure(run));
  if (!run.traces.empty()) all.push_back(ellipse_figure(run.traces));
  if (run.model) add_model_figures(finite_part(*run.model), all);
  return all;
}

NamedFigure manifold_figure(const ModelView& model) {
  return grid_figure(model, "manifold", figures::prior_quantiles(kQuantiles),
                     "decoded images at quantiles of the prior",
                     "Images decoded at the prior's quantiles 0.05 to 0.95 of two latent units; "
                     "other units are 0.");
}

std::vector<NamedFigure> training_pictures(const ModelView& model) {
  std::vector<NamedFigure> pictures;
  if (model.posteriors.mu.size(1) > 0) pictures.push_back(manifold_figure(model));
  pictures.push_back(reconstruction_figure(model));
  return pictures;
}

NamedFigure reconstruction_figure(const ModelView& model) {
  return {"reconstructions",
          fmt::format("Images of {} above what is decoded from their posterior mean.", model.split),
          figures::reconstructions(model.originals, model.reconstructions, model.shape,
                                   /*columns=*/12)};
}

NamedFigure curves_of_runs(const std::vector<RunMaterial>& runs) {
  std::vector<CurvePanel> panels;
  for (const auto& drawn :
       {Drawn{"elbo_nats", "held-out ELBO", "nats per example"}, kReconstruction, kKl}) {
    CurvePanel panel{.title = drawn.title, .y_label = drawn.unit};
    for (size_t r = 0; r < runs.size(); ++r) {
      const auto split = held_out_split(runs[r].metrics);
      panel.curves.push_back(
          curve_of(runs[r].metrics, split, drawn, runs[r].name,
                   figures::line_colour(static_cast<int64_t>(r), std::ssize(runs))));
    }
    panels.push_back(std::move(panel));
  }
  return {"held_out_curves", "Held-out ELBO, reconstruction and KL of each run, by epoch.",
          figures::curve_figure(panels, "epoch")};
}

RunNumbers numbers_of(const ModelView& model) {
  const auto norm = model.posteriors.mu.to(at::kDouble).norm(2, /*dim=*/1);
  const auto within = [&](double deviations) {
    return (norm <= deviations).to(at::kDouble).mean().item<double>();
  };
  return {.examples = model.posteriors.mu.size(0),
          .split = model.split,
          .mu_within_1sd = within(1),
          .mu_within_2sd = within(2),
          .mu_within_5sd = within(5),
          .sample_sharpness = sharpness_of(model.samples)};
}

}  // namespace elbow::launch
