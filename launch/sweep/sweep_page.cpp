#include "launch/sweep/sweep_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "launch/sweep/frontier.h"
#include "trainer/build_info.h"

namespace elbow::launch::sweep {
namespace {

constexpr double kScreenPixelsPerPoint = 1.5;
constexpr int64_t kCurves = 12;
constexpr const char* kShownMetrics[] = {"elbo_nats", "recon_nats", "kl_nats", "active_units"};

std::string number_text(std::optional<double> value) {
  return value && std::isfinite(*value) ? fmt::format("{:.6g}", *value) : "–";
}

std::string spread_text(const Spread& spread, int64_t seeds) {
  if (!std::isfinite(spread.mean)) return "–";
  if (seeds < 2) return fmt::format("{:.5g}", spread.mean);
  return fmt::format("{:.5g} ± {:.2g}", spread.mean, spread.deviation);
}

std::string described(const SweepResults& results, const LedgerTrial& trial) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < results.head.axes.size(); ++i)
    parts.push_back(fmt::format("{} = {}", results.head.axes[i].key, trial.values[i]));
  parts.push_back(fmt::format("seed {}", trial.seed));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> summary_of(const SweepResults& results,
                                    const std::vector<std::string>& notes) {
  std::vector<std::string> counts;
  for (const auto state :
       {TrialState::kComplete, TrialState::kPruned, TrialState::kFailed, TrialState::kRunning}) {
    const auto count = std::count_if(results.trials.begin(), results.trials.end(),
                                     [&](const auto& trial) { return trial.state == state; });
    if (count > 0) counts.push_back(fmt::format("{} {}", count, name_of(state)));
  }
  std::vector<std::string> sentences = {
      fmt::format("{} trials: {}.", results.trials.size(), fmt::join(counts, ", "))};
  if (const auto* best = best_trial(results)) {
    sentences.push_back(fmt::format("Best by {}: trial {} ({}) with {}.", results.head.metric,
                                    best->number, described(results, *best),
                                    number_text(best->value)));
  }
  sentences.insert(sentences.end(), notes.begin(), notes.end());
  sentences.push_back("Drawn by " + trainer::version_text() + " from the sweep's ledger.");
  return sentences;
}

PageTable trials_table(const SweepResults& results, const std::vector<std::string>& links) {
  PageTable table{
      .title = "Trials", .header = {"trial", "state"}, .sortable = true, .links = links};
  for (const auto& axis : results.head.axes) table.header.push_back(axis.key);
  for (const char* name : {"seed", "epochs"}) table.header.emplace_back(name);
  table.header.push_back(results.head.metric);
  for (const char* name : kShownMetrics)
    if (name != results.head.metric) table.header.emplace_back(name);
  for (const auto& trial : results.trials) {
    std::vector<std::string> row = {std::to_string(trial.number), name_of(trial.state)};
    row.insert(row.end(), trial.values.begin(), trial.values.end());
    row.push_back(std::to_string(trial.seed));
    row.push_back(std::to_string(trial.epochs()));
    row.push_back(number_text(newest_value(trial)));
    for (const char* name : kShownMetrics)
      if (name != results.head.metric) row.push_back(number_text(trial.number_attribute(name)));
    table.rows.push_back(std::move(row));
  }
  return table;
}

PageTable frontier_table(const SweepResults& results) {
  PageTable table{.title =
                      "Rate and distortion, nats per example; mean ± standard deviation over "
                      "seeds",
                  .header = {},
                  .sortable = true};
  const auto seed = results.axis("train.seed");
  for (size_t i = 0; i < results.head.axes.size(); ++i)
    if (i != seed) table.header.push_back(results.head.axes[i].key);
  for (const char* name : {"seeds", "KL", "reconstruction", "ELBO", "active units", "frontier"})
    table.header.emplace_back(name);
  for (const auto& point : rate_distortion(results)) {
    std::vector<std::string> row;
    for (size_t i = 0; i < point.values.size(); ++i)
      if (i != seed) row.push_back(point.values[i]);
    row.push_back(std::to_string(point.seeds));
    for (const auto* spread : {&point.rate, &point.distortion, &point.elbo, &point.active_units})
      row.push_back(spread_text(*spread, point.seeds));
    row.emplace_back(point.on_frontier ? "yes" : "no");
    table.rows.push_back(std::move(row));
  }
  return table;
}

PageTable importance_table(const SweepResults& results) {
  PageTable table{.title = fmt::format("Share of {}'s variance that an axis explains by itself",
                                       results.head.metric),
                  .header = {}};
  const auto importance = axis_importance(results);
  for (size_t i = 0; i < importance.size(); ++i) {
    if (std::isfinite(importance[i]))
      table.rows.push_back(
          {results.head.axes[i].key, fmt::format("{:.1f} %", 100 * importance[i])});
  }
  return table;
}

// The metric by epoch of the best trials.
PageChart curves_of(const SweepResults& results) {
  PageChart chart{.title = fmt::format("{} of the best trials", results.head.metric),
                  .x_label = "epoch"};
  const auto trials = ranked(results);
  const auto count = std::min(kCurves, std::ssize(trials));
  for (int64_t i = 0; i < count; ++i) {
    PageSeries series{.name = fmt::format("trial {}", trials[i]->number),
                      .colour = figures::line_colour(i, count)};
    for (const auto& [epoch, value] : trials[i]->by_epoch) {
      series.x.push_back(static_cast<double>(epoch));
      series.y.push_back(value);
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace

ReportPage sweep_page(const SweepResults& results, const std::vector<NamedFigure>& figures,
                      const std::vector<std::string>& links,
                      const std::vector<std::string>& notes) {
  ReportPage page{.title = results.head.name, .summary = summary_of(results, notes)};
  page.charts = {curves_of(results)};
  page.tables = {trials_table(results, links), frontier_table(results), importance_table(results)};
  std::erase_if(page.tables, [](const PageTable& table) { return table.rows.empty(); });
  for (const auto& [name, caption, figure] : figures) {
    page.pictures.push_back({.caption = caption,
                             .pictures = {{.png = figures::png_of(figure, 2),
                                           .width = kScreenPixelsPerPoint * figure.width}}});
  }
  return page;
}

}  // namespace elbow::launch::sweep
