#include "launch/sweep/result_figures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "launch/figures/parallel_coordinates.h"
#include "launch/figures/posterior_panels.h"
#include "launch/figures/sweep_figures.h"
#include "launch/sweep/frontier.h"

namespace elbow::launch::sweep {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kShownExamples = 2000;
constexpr size_t kShownPanels = 16;

// beta where an axis is given in it, kl_wt else.
std::string weight_name(const SweepResults& results) {
  return results.axis("objective.beta") ? "beta" : "kl_wt";
}

double weight_of(const SweepResults& results, const LedgerTrial& trial) {
  return trial.number_attribute(weight_name(results)).value_or(kUnknown);
}

bool is_complete(const LedgerTrial& trial) {
  return trial.state == TrialState::kComplete && trial.value.has_value();
}

NamedFigure rate_figure(const SweepResults& results, const std::vector<FrontierPoint>& frontier) {
  std::vector<figures::RatePoint> points;
  for (const auto& point : frontier) {
    points.push_back({.weight = weight_name(results) == "beta" ? point.beta : point.kl_wt,
                      .rate = point.rate.mean,
                      .rate_deviation = point.rate.deviation,
                      .distortion = point.distortion.mean,
                      .distortion_deviation = point.distortion.deviation,
                      .on_frontier = point.on_frontier});
  }
  return {"rate_distortion",
          "What each configuration pays in KL to the prior for its reconstruction, after its last "
          "epoch: means over the seeds, bars of one standard deviation. Along a dashed line the "
          "ELBO is the same.",
          figures::rate_distortion_figure(points, weight_name(results))};
}

NamedFigure units_figure(const SweepResults& results) {
  std::vector<double> x;
  figures::TrialPanel units{.title = "active units", .y_label = "units with Var μ > 0.01", .y = {}};
  figures::TrialPanel kl{.title = "KL to the prior", .y_label = "nats per example", .y = {}};
  std::vector<double> numbers;
  for (const auto& trial : results.trials) {
    if (!is_complete(trial)) continue;
    x.push_back(weight_of(results, trial));
    numbers.push_back(static_cast<double>(trial.number));
    units.y.push_back(trial.number_attribute("active_units").value_or(kUnknown));
    kl.y.push_back(trial.number_attribute("kl_nats").value_or(kUnknown));
  }
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  const bool one_weight = x.empty() || !(*low < *high);
  return {"active_units",
          "Active units and KL of each complete trial; lines join the means over trials of one "
          "weight.",
          figures::trial_dots(one_weight ? numbers : x, one_weight ? "trial" : weight_name(results),
                              {units, kl})};
}

figures::CurveEnd end_of(TrialState state) {
  switch (state) {
    case TrialState::kComplete:
      return figures::CurveEnd::kComplete;
    case TrialState::kPruned:
      return figures::CurveEnd::kPruned;
    case TrialState::kFailed:
      return figures::CurveEnd::kFailed;
    case TrialState::kRunning:
    case TrialState::kWaiting:
      break;
  }
  return figures::CurveEnd::kGoesOn;
}

NamedFigure rung_figure(const SweepResults& results) {
  const auto* best = best_trial(results);
  std::vector<figures::TrialCurve> curves;
  for (const auto& trial : results.trials) {
    figures::TrialCurve curve{.epochs = {},
                              .values = {},
                              .weight = weight_of(results, trial),
                              .end = end_of(trial.state),
                              .best = &trial == best};
    for (const auto& [epoch, value] : trial.by_epoch) {
      curve.epochs.push_back(static_cast<double>(epoch));
      curve.values.push_back(value);
    }
    curves.push_back(std::move(curve));
  }
  return {"rungs",
          fmt::format("{} of every trial after each epoch; trials that were stopped early or have "
                      "failed are faint and end in a cross, the best one is black.",
                      results.head.metric),
          figures::epoch_curves(curves, results.head.metric, weight_name(results))};
}

NamedFigure coordinates_figure(const SweepResults& results) {
  std::vector<figures::ParallelAxis> axes;
  for (const auto& range : results.head.axes) {
    axes.push_back({.name = range.key,
                    .places = {},
                    .logarithmic = range.scale == AxisScale::kLogarithmic,
                    .categories = range.categories});
  }
  axes.push_back({.name = results.head.metric, .places = {}});
  const auto* best = best_trial(results);
  int64_t index_of_best = -1;
  for (const auto& trial : results.trials) {
    if (!is_complete(trial)) continue;
    if (&trial == best) index_of_best = std::ssize(axes.back().places);
    for (size_t i = 0; i < results.head.axes.size(); ++i)
      axes[i].places.push_back(place_of(results.head.axes[i], trial.values[i]));
    axes.back().places.push_back(*trial.value);
  }
  return {"parallel_coordinates",
          fmt::format("A curve for each complete trial through its axes to its {}, which colours "
                      "it; the best one is black.",
                      results.head.metric),
          figures::parallel_coordinates(axes, index_of_best)};
}

const LedgerTrial* trial_of(const SweepResults& results, int64_t number) {
  const auto found = std::find_if(results.trials.begin(), results.trials.end(),
                                  [&](const LedgerTrial& trial) { return trial.number == number; });
  return found == results.trials.end() ? nullptr : &*found;
}

NamedFigure posterior_figure(const SweepResults& results, const std::vector<TrialCodes>& codes) {
  std::vector<figures::PosteriorPanel> panels;
  for (const auto& one : codes) {
    const auto* trial = trial_of(results, one.trial);
    if (trial == nullptr) continue;
    const int64_t count = std::min(one.mu.size(0), kShownExamples);
    const auto plane = figures::active_plane(one.mu);
    panels.push_back({.title = fmt::format("{} {:.3g}, trial {}", weight_name(results),
                                           weight_of(results, *trial), one.trial),
                      .codes = figures::on_plane(plane, one.mu.narrow(0, 0, count),
                                                 one.sigma.narrow(0, 0, count)),
                      .plane = plane,
                      .labels = one.labels});
  }
  return {"posteriors",
          "Posterior means of held-out examples, by class, and the ellipses (one standard "
          "deviation) of some; circles at 1 and 2 standard deviations of the prior.",
          figures::posterior_panels(panels)};
}

}  // namespace

std::vector<int64_t> trials_to_picture(const SweepResults& results) {
  std::map<double, int64_t> first;  // by weight
  for (const auto& trial : results.trials) {
    const double weight = weight_of(results, trial);
    if (is_complete(trial) && std::isfinite(weight)) first.emplace(weight, trial.number);
  }
  std::vector<int64_t> trials;
  size_t place = 0;
  for (const auto& [weight, trial] : first) {
    // Of n weights those that begin another of the kShownPanels parts.
    const size_t part = place * kShownPanels / first.size();
    const size_t before = place == 0 ? part + 1 : (place - 1) * kShownPanels / first.size();
    if (first.size() <= kShownPanels || part != before) trials.push_back(trial);
    ++place;
  }
  return trials;
}

std::vector<NamedFigure> sweep_figures(const SweepResults& results,
                                       const std::vector<TrialCodes>& codes) {
  std::vector<NamedFigure> all;
  const auto frontier = rate_distortion(results);
  if (!frontier.empty()) {
    all.push_back(rate_figure(results, frontier));
    all.push_back(units_figure(results));
  }
  const bool any_epoch = std::any_of(results.trials.begin(), results.trials.end(),
                                     [](const auto& trial) { return trial.epochs() > 0; });
  if (any_epoch) all.push_back(rung_figure(results));
  if (std::any_of(results.trials.begin(), results.trials.end(), is_complete) &&
      !results.head.axes.empty())
    all.push_back(coordinates_figure(results));
  if (!codes.empty()) all.push_back(posterior_figure(results, codes));
  return all;
}

}  // namespace elbow::launch::sweep
