#include "launch/sweep_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "launch/figure_files.h"
#include "launch/run_material.h"
#include "launch/sweep/frontier.h"
#include "launch/sweep/ledger.h"
#include "launch/sweep/result_figures.h"
#include "launch/sweep/sweep_page.h"
#include "trainer/error.h"
#include "trainer/run_directory.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

namespace fs = std::filesystem;

// ledger.jsonl, or the shards' ledger_1_of_8.jsonl, in the order of their names.
std::vector<fs::path> ledgers_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("ledger") && name.ends_with(".jsonl")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path folder_of(int64_t trial) { return fs::path("trials") / fmt::format("{:06}", trial); }

std::vector<sweep::TrialCodes> read_codes(const fs::path& folder,
                                          const sweep::SweepResults& results,
                                          std::vector<std::string>& notes) {
  std::vector<sweep::TrialCodes> codes;
  for (const int64_t trial : sweep::trials_to_picture(results)) {
    try {
      const auto run = read_run(folder / folder_of(trial));
      if (!run.model) continue;
      codes.push_back({.trial = trial,
                       .mu = run.model->posteriors.mu,
                       .sigma = run.model->posteriors.sigma,
                       .labels = run.model->labels});
    } catch (const std::runtime_error& error) {
      notes.push_back(fmt::format("Trial {} is not pictured: {}.", trial, error.what()));
    }
  }
  return codes;
}

// A page elsewhere leads nowhere: it may be sent without the trials.
std::vector<std::string> links_of(const fs::path& folder, const fs::path& out,
                                  const sweep::SweepResults& results) {
  std::error_code ignored;
  std::vector<std::string> links;
  if (!fs::equivalent(folder, out, ignored)) return links;
  for (const auto& trial : results.trials) {
    const auto place = folder_of(trial.number);
    links.push_back(fs::exists(folder / place, ignored) ? place.string() + "/" : "");
  }
  return links;
}

}  // namespace

bool is_sweep_folder(const fs::path& folder) { return !ledgers_in(folder).empty(); }

void report_sweep(const fs::path& sweep, const fs::path& out) {
  std::vector<sweep::LedgerContents> ledgers;
  for (const auto& file : ledgers_in(sweep)) ledgers.push_back(sweep::read_ledger(file));
  const auto results = sweep::merged(ledgers);
  std::vector<std::string> notes;
  const auto figures = sweep::sweep_figures(results, read_codes(sweep, results, notes));

  const trainer::RunDirectory files(out);
  write_figures(files.figures(), figures);
  trainer::replace_text_file(out / "results.csv", sweep::results_csv(results));
  trainer::replace_text_file(out / "frontier.csv",
                             sweep::frontier_csv(results, sweep::rate_distortion(results)));
  trainer::replace_text_file(
      files.report(),
      html_of(sweep::sweep_page(results, figures, links_of(sweep, out, results), notes)));
  std::printf("report     %s\nfigures    %s\n", files.report().c_str(), files.figures().c_str());
}

}  // namespace elbow::launch
