#include "launch/report_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "launch/duration_text.h"
#include "launch/setting_table.h"
#include "trainer/build_info.h"

namespace elbow::launch {
namespace {

constexpr double kScreenPixelsPerPoint = 1.5;  // of a picture on the page

struct ChartKind {
  const char* number;
  const char* title;
  const char* unit;
};
constexpr std::array<ChartKind, 6> kCharts = {{{"loss", "Loss, as optimised", ""},
                                               {"recon_nats", "Reconstruction", "nats per example"},
                                               {"kl_nats", "KL to the prior", "nats per example"},
                                               {"elbo_nats", "ELBO", "nats per example"},
                                               {"sigma_mean", "Mean of σ", ""},
                                               {"mu_std", "Standard deviation of μ", ""}}};

std::string number_text(double value) {
  if (!std::isfinite(value)) return "not finite";
  if (value == std::round(value) && std::abs(value) < 1e9) return fmt::format("{:.0f}", value);
  return fmt::format("{:.5g}", value);
}

// The last line of a split; null where there is none.
const MetricsLine* last_line(const RunMaterial& run, const std::string& split) {
  const auto found = std::find_if(run.metrics.rbegin(), run.metrics.rend(),
                                  [&](const auto& line) { return line.split == split; });
  return found == run.metrics.rend() ? nullptr : &*found;
}

const MetricsLine* held_out_line(const RunMaterial& run) {
  return last_line(run, held_out_split(run.metrics));
}

std::string number_in(const MetricsLine* line, const std::string& name) {
  if (line == nullptr) return "–";
  const auto found = line->numbers.find(name);
  return found == line->numbers.end() ? "–" : number_text(found->second);
}

double beta_of(const RunMaterial& run) {
  return trainer::effective_beta(run.config.settings.objective, run.observed);
}

std::vector<PageChart> charts_of(const std::vector<RunMaterial>& runs) {
  std::vector<PageChart> charts;
  for (const auto& kind : kCharts) {
    PageChart chart{.title = kind.title, .x_label = "epoch", .y_label = kind.unit};
    for (size_t r = 0; r < runs.size(); ++r) {
      const auto held_out = held_out_split(runs[r].metrics);
      for (const auto& split : {std::string("train"), held_out}) {
        if (split.empty()) continue;
        const bool alone = runs.size() == 1, train = split == "train";
        auto history = history_of(runs[r].metrics, split, kind.number);
        chart.series.push_back(
            {.name = alone ? split : fmt::format("{}, {}", runs[r].name, split),
             .x = std::move(history.epochs),
             .y = std::move(history.values),
             .colour = alone ? figures::line_colour(train ? 0 : 1)
                             : figures::line_colour(static_cast<int64_t>(r), std::ssize(runs)),
             .dashed = !alone && train});
      }
    }
    charts.push_back(std::move(chart));
  }
  return charts;
}

// Every number that the last lines have, in the order in which they are logged.
std::vector<std::string> names_of_numbers(const std::vector<RunMaterial>& runs) {
  std::vector<std::string> names = {"epoch",      "step",      "loss",      "elbo_nats",
                                    "recon_nats", "kl_nats",   "mu_mean",   "mu_std",
                                    "sigma_mean", "sigma_std", "sigma_min", "sigma_max"};
  for (const auto& run : runs) {
    for (const auto& line : run.metrics) {
      for (const auto& [name, value] : line.numbers) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
  }
  return names;
}

PageTable results_table(const std::vector<RunMaterial>& runs) {
  PageTable table{.title = "Last epoch", .header = {""}};
  std::vector<const MetricsLine*> lines;
  for (const auto& run : runs) {
    for (const auto& split : {std::string("train"), held_out_split(run.metrics)}) {
      const auto* line = last_line(run, split);
      if (line == nullptr || (runs.size() > 1 && split == "train")) continue;
      lines.push_back(line);
      table.header.push_back(runs.size() == 1 ? split : fmt::format("{}, {}", run.name, split));
    }
  }
  for (const auto& name : names_of_numbers(runs)) {
    std::vector<std::string> row = {name};
    for (const auto* line : lines) row.push_back(number_in(line, name));
    const bool known = std::any_of(row.begin() + 1, row.end(),
                                   [](const std::string& cell) { return cell != "–"; });
    if (known) table.rows.push_back(std::move(row));
  }
  return table;
}

PageTable run_table(const std::vector<RunMaterial>& runs) {
  PageTable table{.title = runs.size() == 1 ? "Run" : "Runs", .header = {""}};
  std::vector<std::vector<std::string>> rows = {
      {"status"},
      {"beta"},
      {"kl_wt"},
      {"parameters"},
      {"duration"},
      {"examples/s in training"},
      {"share of |μ| within 1 SD of the prior"},
      {"… within 2 SD"},
      {"… within 5 SD"},
      {"sharpness of prior samples, mean 4p(1−p)"},
      {"entropy of the grey data, nats: the reconstruction's floor"}};
  for (const auto& run : runs) {
    table.header.push_back(run.name);
    const double beta = beta_of(run);
    std::vector<std::string> cells = {
        run.status,
        number_text(beta),
        number_text(beta / static_cast<double>(run.observed)),
        run.parameters > 0 ? std::to_string(run.parameters) : "–",
        run.seconds > 0 ? clock_text(run.seconds) : "–",
        run.examples_per_s > 0 ? fmt::format("{:.0f}", run.examples_per_s) : "–"};
    if (run.model) {
      const auto numbers = numbers_of(*run.model);
      for (const double share :
           {numbers.mu_within_1sd, numbers.mu_within_2sd, numbers.mu_within_5sd})
        cells.push_back(fmt::format("{:.2f} %", 100 * share));
      cells.push_back(fmt::format("{:.4f}", numbers.sample_sharpness));
    }
    cells.resize(rows.size(), "–");
    const auto floor = run.recon_floor_nats.find(held_out_split(run.metrics));
    if (floor != run.recon_floor_nats.end()) cells.back() = number_text(floor->second);
    for (size_t i = 0; i < rows.size(); ++i) rows[i].push_back(cells[i]);
  }
  table.rows = std::move(rows);
  return table;
}

// only_different: settings in which the runs differ.
PageTable settings_table(const std::vector<RunMaterial>& runs, bool only_different) {
  PageTable table{.title = only_different ? "Settings in which they differ" : "All settings",
                  .header = {""},
                  .folded = !only_different};
  for (const auto& run : runs) table.header.push_back(run.name);
  for (const auto& setting : setting_table()) {
    std::vector<std::string> row = {setting.key};
    for (const auto& run : runs) {
      const auto text = setting.print(run.config.settings);
      row.push_back(text.empty() ? "–" : text);
    }
    const bool differs = std::any_of(row.begin() + 2, row.end(),
                                     [&](const std::string& cell) { return cell != row[1]; });
    if (differs || !only_different) table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<std::string> summary_of(const std::vector<RunMaterial>& runs) {
  std::vector<std::string> sentences;
  for (const auto& run : runs) {
    const double beta = beta_of(run);
    std::string sentence = fmt::format("{}: {}, β {:.5g} (kl_wt {:.5g})", run.name, run.status,
                                       beta, beta / static_cast<double>(run.observed));
    if (const auto* line = held_out_line(run)) {
      sentence += fmt::format(
          "; after {} epochs {} ELBO {} nats per example: reconstruction {}, "
          "KL {}",
          line->epoch, line->split, number_in(line, "elbo_nats"), number_in(line, "recon_nats"),
          number_in(line, "kl_nats"));
    }
    sentences.push_back(sentence + ".");
  }
  sentences.push_back("Drawn by " + trainer::version_text() + " from the run folder.");
  return sentences;
}

// One group a figure, with that figure of every run that has it.
std::vector<PagePictures> pictures_of(const std::vector<RunMaterial>& runs,
                                      const std::vector<std::vector<NamedFigure>>& figures) {
  std::vector<PagePictures> groups;
  std::vector<std::string> names;
  for (const auto& of_run : figures)
    for (const auto& figure : of_run)
      if (std::find(names.begin(), names.end(), figure.name) == names.end())
        names.push_back(figure.name);
  for (const auto& name : names) {
    PagePictures group;
    for (size_t r = 0; r < runs.size(); ++r) {
      for (const auto& figure : figures[r]) {
        if (figure.name != name) continue;
        group.caption = figure.caption;
        group.pictures.push_back({.name = runs.size() > 1 ? runs[r].name : "",
                                  .png = figures::png_of(figure.figure, 2),
                                  .width = kScreenPixelsPerPoint * figure.figure.width});
      }
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

ReportPage report_of(const std::vector<RunMaterial>& runs,
                     const std::vector<std::vector<NamedFigure>>& figures) {
  ReportPage page{
      .title = runs.size() == 1 ? runs[0].name : fmt::format("{} runs side by side", runs.size()),
      .summary = summary_of(runs),
      .charts = charts_of(runs),
      .pictures = pictures_of(runs, figures)};
  page.tables = {results_table(runs), run_table(runs)};
  if (runs.size() > 1) page.tables.push_back(settings_table(runs, /*only_different=*/true));
  page.tables.push_back(settings_table(runs, /*only_different=*/false));
  return page;
}

std::string numbers_json(const std::vector<RunMaterial>& runs) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const auto& run : runs) {
    const double beta = beta_of(run);
    nlohmann::ordered_json one = {{"status", run.status},
                                  {"beta", beta},
                                  {"kl_wt", beta / static_cast<double>(run.observed)}};
    if (run.model) {
      const auto numbers = numbers_of(*run.model);
      one["split"] = numbers.split;
      one["examples"] = numbers.examples;
      one["mu_within_1sd"] = numbers.mu_within_1sd;
      one["mu_within_2sd"] = numbers.mu_within_2sd;
      one["mu_within_5sd"] = numbers.mu_within_5sd;
      one["sample_sharpness"] = numbers.sample_sharpness;
    }
    if (const auto* line = held_out_line(run)) {
      for (const auto& [name, value] : line->numbers)
        one["last_epoch"][name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr;
    }
    all[run.folder.string()] = std::move(one);
  }
  return all.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false,
                  nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace elbow::launch
