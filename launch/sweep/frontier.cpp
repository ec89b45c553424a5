#include "launch/sweep/frontier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "launch/number_text.h"

namespace elbow::launch::sweep {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Of the trials that have the number.
Spread spread_of(const std::vector<const LedgerTrial*>& trials, const char* name) {
  std::vector<double> values;
  for (const auto* trial : trials)
    if (const auto number = trial->number_attribute(name)) values.push_back(*number);
  if (values.empty()) return {kUnknown, 0};
  const auto count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() < 2 ? 0 : std::sqrt(squares / (count - 1))};
}

FrontierPoint point_of(const std::vector<const LedgerTrial*>& trials) {
  const auto& first = *trials.front();
  return {.values = first.values,
          .kl_wt = first.number_attribute("kl_wt").value_or(kUnknown),
          .beta = first.number_attribute("beta").value_or(kUnknown),
          .seeds = std::ssize(trials),
          .rate = spread_of(trials, "kl_nats"),
          .distortion = spread_of(trials, "recon_nats"),
          .elbo = spread_of(trials, "elbo_nats"),
          .active_units = spread_of(trials, "active_units")};
}

// By increasing rate, so a point is on the frontier where all before it have more distortion.
void mark_frontier(std::vector<FrontierPoint>& points) {
  double least = std::numeric_limits<double>::infinity();
  for (auto& point : points) {
    point.on_frontier = point.distortion.mean < least;
    least = std::min(least, point.distortion.mean);
  }
}

std::string text_of(double number) { return std::isfinite(number) ? text_from_number(number) : ""; }

std::string quoted(const std::string& value) {
  return value.find(',') == std::string::npos ? value : '"' + value + '"';
}

}  // namespace

std::vector<FrontierPoint> rate_distortion(const SweepResults& results) {
  // By all axes but the seed, which is another repetition of the same.
  const auto seed_axis = results.axis("train.seed");
  std::map<std::vector<std::string>, std::vector<const LedgerTrial*>> configurations;
  for (const auto& trial : results.trials) {
    if (trial.state != TrialState::kComplete || !trial.number_attribute("kl_nats") ||
        !trial.number_attribute("recon_nats"))
      continue;
    auto values = trial.values;
    if (seed_axis) values[*seed_axis].clear();
    configurations[values].push_back(&trial);
  }
  std::vector<FrontierPoint> points;
  for (const auto& [values, trials] : configurations) {
    points.push_back(point_of(trials));
    points.back().values = values;
  }
  std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
    return std::pair(a.rate.mean, a.distortion.mean) < std::pair(b.rate.mean, b.distortion.mean);
  });
  mark_frontier(points);
  return points;
}

std::string frontier_csv(const SweepResults& results, const std::vector<FrontierPoint>& points) {
  std::string text;
  for (const auto& axis : results.head.axes)
    if (axis.key != "train.seed") text += axis.key + ",";
  text +=
      "kl_wt,beta,seeds,kl_nats,kl_nats_sd,recon_nats,recon_nats_sd,elbo_nats,elbo_nats_sd,"
      "active_units,active_units_sd,on_frontier\n";
  for (const auto& point : points) {
    for (size_t i = 0; i < point.values.size(); ++i)
      if (results.head.axes[i].key != "train.seed") text += quoted(point.values[i]) + ",";
    std::vector<std::string> numbers = {text_of(point.kl_wt), text_of(point.beta),
                                        std::to_string(point.seeds)};
    for (const Spread* spread :
         {&point.rate, &point.distortion, &point.elbo, &point.active_units}) {
      numbers.push_back(text_of(spread->mean));
      numbers.push_back(std::isfinite(spread->mean) ? text_of(spread->deviation) : "");
    }
    text += fmt::format("{},{}\n", fmt::join(numbers, ","), point.on_frontier ? 1 : 0);
  }
  return text;
}

}  // namespace elbow::launch::sweep
