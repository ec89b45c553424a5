#include <fmt/format.h>

#include <cstdio>
#include <system_error>

#include "launch/commands.h"
#include "launch/report_contents.h"
#include "launch/run_material.h"
#include "trainer/error.h"
#include "trainer/run_directory.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

// PNG of every figure, SVG of line art.
void write_figures(const std::filesystem::path& folder, const std::vector<NamedFigure>& figures) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, caption, figure] : figures) {
    trainer::replace_text_file(folder / (name + ".png"), figures::png_of(figure));
    if (figure.line_art)
      trainer::replace_text_file(folder / (name + ".svg"), figures::svg_of(figure));
  }
}

std::filesystem::path report_folder(const ReportCommand& command) {
  if (command.out) return *command.out;
  return command.runs.size() == 1 ? command.runs.front() : std::filesystem::path("comparison");
}

}  // namespace

ExitCode run_report(const ReportCommand& command) {
  std::vector<RunMaterial> runs;
  for (const auto& folder : command.runs) runs.push_back(read_run(folder));
  std::vector<std::vector<NamedFigure>> figures;
  for (const auto& run : runs) figures.push_back(run_figures(run));

  const trainer::RunDirectory out(report_folder(command));
  try {
    if (runs.size() == 1) write_figures(out.figures(), figures.front());
    if (runs.size() > 1) write_figures(out.figures(), {curves_of_runs(runs)});
    trainer::replace_text_file(out.figures() / "numbers.json", numbers_json(runs));
    trainer::replace_text_file(out.report(), html_of(report_of(runs, figures)));
  } catch (const std::system_error& error) {
    throw trainer::SettingError(
        fmt::format("the report cannot be written into {}: {}; choose another folder with "
                    "--out",
                    out.path().string(), error.what()));
  }
  std::printf("report     %s\nfigures    %s\n", out.report().c_str(), out.figures().c_str());
  return ExitCode::kDone;
}

}  // namespace elbow::launch
