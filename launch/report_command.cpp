#include <fmt/format.h>

#include <cstdio>
#include <system_error>

#include "launch/commands.h"
#include "launch/figure_files.h"
#include "launch/report_contents.h"
#include "launch/run_material.h"
#include "launch/sweep_report.h"
#include "trainer/error.h"
#include "trainer/run_directory.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

std::filesystem::path report_folder(const ReportCommand& command) {
  if (command.out) return *command.out;
  return command.runs.size() == 1 ? command.runs.front() : std::filesystem::path("comparison");
}

void report_runs(const ReportCommand& command, const trainer::RunDirectory& out) {
  std::vector<RunMaterial> runs;
  for (const auto& folder : command.runs) runs.push_back(read_run(folder));
  std::vector<std::vector<NamedFigure>> figures;
  for (const auto& run : runs) figures.push_back(run_figures(run));
  if (runs.size() == 1) write_figures(out.figures(), figures.front());
  if (runs.size() > 1) write_figures(out.figures(), {curves_of_runs(runs)});
  trainer::replace_text_file(out.figures() / "numbers.json", numbers_json(runs));
  trainer::replace_text_file(out.report(), html_of(report_of(runs, figures)));
  std::printf("report     %s\nfigures    %s\n", out.report().c_str(), out.figures().c_str());
}

void refuse_sweeps_among(const ReportCommand& command) {
  for (const auto& folder : command.runs) {
    if (command.runs.size() == 1 || !is_sweep_folder(folder)) continue;
    throw trainer::SettingError(
        fmt::format("{} is a sweep, and is reported by itself; its runs are in {}: give those, or "
                    "the sweep alone",
                    folder.string(), (folder / "trials").string()));
  }
}

}  // namespace

ExitCode run_report(const ReportCommand& command) {
  refuse_sweeps_among(command);
  const trainer::RunDirectory out(report_folder(command));
  try {
    if (is_sweep_folder(command.runs.front())) {
      report_sweep(command.runs.front(), out.path());
    } else {
      report_runs(command, out);
    }
  } catch (const std::system_error& error) {
    throw trainer::SettingError(
        fmt::format("the report cannot be written into {}: {}; choose another folder with "
                    "--out",
                    out.path().string(), error.what()));
  }
  return ExitCode::kDone;
}

}  // namespace elbow::launch
