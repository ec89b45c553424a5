#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

#include "launch/commands.h"
#include "launch/drawn_pictures.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/npy_file.h"

namespace elbow::launch {

ExitCode run_sample(const SampleCommand& command, World& world) {
  const auto run = open_run(world, command.choice);
  auto& ranks = run->ranks(world);
  DrawnPictures drawn;
  world.together([&] { drawn = draw_pictures(*run, command, ranks); });
  world.together([&] {
    if (ranks.rank() != 0) return;
    trainer::write_npy(command.out, drawn.pictures);
    fmt::print("{}: {}, float32 [{}]; mean of 4p(1 - p) {:.4f}\n", command.out.string(), drawn.what,
               fmt::join(drawn.pictures.sizes(), ", "), sharpness_of(drawn.pictures));
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
