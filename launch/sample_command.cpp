#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "launch/commands.h"
#include "launch/drawn_pictures.h"
#include "launch/figures/image_figures.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/error.h"
#include "trainer/npy_file.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

// A table keeps its columns; a list of pictures becomes about as many rows as columns.
int64_t columns_of(const at::Tensor& pictures, size_t dimensions_of_one) {
  if (pictures.dim() > static_cast<int64_t>(dimensions_of_one) + 1) return pictures.size(1);
  return std::lround(std::ceil(std::sqrt(static_cast<double>(pictures.size(0)))));
}

// A sheet, or a figure where the columns have names.
std::string png_of(const std::filesystem::path& file, const DrawnPictures& drawn,
                   const trainer::Dataset& data) {
  constexpr int64_t kLongestSide = 32767;  // Cairo's
  const int64_t columns = columns_of(drawn.pictures, data.shape().size());
  const auto flat = drawn.pictures.reshape({-1, data.observed()});
  const int64_t width = columns * (data.width + 2);
  const int64_t height = (flat.size(0) + columns - 1) / columns * (data.height + 2);
  if (std::max(width, height) > kLongestSide) {
    throw trainer::SettingError(
        fmt::format("--out = {} would have {} x {} pixels, and a PNG has at most {} on a side: ask "
                    "for fewer with --count, or write a .npy file",
                    file.string(), width, height, kLongestSide));
  }
  const figures::ImageShape shape{data.height, data.width, data.channels};
  if (drawn.columns.empty()) return figures::sheet_png(flat, shape, columns);
  return figures::png_of(figures::column_figure(drawn.columns, shape, drawn.what));
}

void write_png(const std::filesystem::path& file, const DrawnPictures& drawn,
               const trainer::Dataset& data) {
  const auto png = png_of(file, drawn, data);
  try {
    trainer::replace_text_file(file, png);
  } catch (const std::system_error& error) {
    throw trainer::SettingError(fmt::format("cannot write {}: {}; choose another file with --out",
                                            file.string(), error.what()));
  }
}

// RUN/figures/sample_KIND.png.
std::filesystem::path default_out(const TrainedRun& run, const SampleCommand& command) {
  const char* kind = "prior";
  if (command.complete) kind = "complete";
  if (command.kind == SampleKind::kReconstruction) kind = "reconstruction";
  if (command.kind == SampleKind::kInterpolation) kind = "interpolation";
  if (command.kind == SampleKind::kTraversal) kind = "traversal";
  if (command.kind == SampleKind::kCompletion) kind = "completion";
  if (command.kind == SampleKind::kClasses) kind = "classes";
  std::filesystem::create_directory(run.directory.figures());
  return run.directory.figures() / fmt::format("sample_{}.png", kind);
}

}  // namespace

ExitCode run_sample(const SampleCommand& command, World& world) {
  const auto run = open_run(world, command.choice);
  auto& ranks = run->ranks(world);
  std::unique_ptr<TrainedRun> regressor;
  if (command.regressor) regressor = open_run(world, {.run = *command.regressor});
  DrawnPictures drawn;
  world.together([&] { drawn = draw_pictures(*run, command, regressor.get(), ranks); });
  world.together([&] {
    if (ranks.rank() != 0) return;
    const auto out = command.out ? *command.out : default_out(*run, command);
    if (out.extension() == ".png") {
      write_png(out, drawn, run->data);
    } else {
      trainer::write_npy(out, drawn.pictures);
    }
    fmt::print("{}: {}, float32 [{}]; mean of 4p(1 - p) {:.4f}\n", out.string(), drawn.what,
               fmt::join(drawn.pictures.sizes(), ", "), sharpness_of(drawn.pictures));
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
