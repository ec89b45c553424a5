#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>

#include "launch/commands.h"
#include "launch/drawn_pictures.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/npy_file.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

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
      const auto& data = run->data;
      trainer::replace_text_file(
          out, figures::png_of(figure_of(drawn, {data.height, data.width, data.channels})));
    } else {
      trainer::write_npy(out, drawn.pictures);
    }
    fmt::print("{}: {}, float32 [{}]; mean of 4p(1 - p) {:.4f}\n", out.string(), drawn.what,
               fmt::join(drawn.pictures.sizes(), ", "), sharpness_of(drawn.pictures));
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
