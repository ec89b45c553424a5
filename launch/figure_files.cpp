#include "launch/figure_files.h"

#include "trainer/text_file.h"

namespace elbow::launch {

void write_figures(const std::filesystem::path& folder, const std::vector<NamedFigure>& figures) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, caption, figure] : figures) {
    trainer::replace_text_file(folder / (name + ".png"), figures::png_of(figure));
    if (figure.line_art)
      trainer::replace_text_file(folder / (name + ".svg"), figures::svg_of(figure));
  }
}

}  // namespace elbow::launch
