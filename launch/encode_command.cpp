#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <string>

#include "launch/commands.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/codes.h"
#include "trainer/error.h"
#include "trainer/image_file.h"
#include "trainer/npy_file.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

// The file's images as a split; they must have the size that the model was trained on.
trainer::Split split_of_file(const TrainedRun& run, const std::filesystem::path& path) {
  const auto file = trainer::read_image_file(path);
  if (file.images.size(1) != run.model->observed()) {
    throw trainer::DataError(fmt::format(
        "{} does not fit the model, at byte 0: its images have {} values and the run was trained "
        "on {} x {} x {} = {}; give images of that size",
        path.string(), file.images.size(1), run.data.height, run.data.width, run.data.channels,
        run.model->observed()));
  }
  return {.name = path.string(), .images = file.images};
}

// "mu_0,mu_1,sigma_0,sigma_1", then one line an example; nine digits name a float32.
std::string csv_of(const trainer::Codes& codes) {
  const int64_t latent = codes.mean.size(1);
  std::string text;
  auto out = std::back_inserter(text);
  for (const char* name : {"mu", "sigma"}) {
    for (int64_t j = 0; j < latent; ++j)
      fmt::format_to(out, "{}{}_{}", text.empty() ? "" : ",", name, j);
  }
  text += '\n';
  for (int64_t i = 0; i < codes.mean.size(0); ++i) {
    const char* separator = "";
    for (const auto& values : {codes.mean, codes.scale}) {
      const float* value = values.const_data_ptr<float>() + i * latent;
      for (int64_t j = 0; j < latent; ++j) {
        fmt::format_to(out, "{}{:.9g}", separator, value[j]);
        separator = ",";
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace

ExitCode run_encode(const EncodeCommand& command, World& world) {
  const auto run = open_run(world, command.choice);
  trainer::Split split;
  world.together([&] {
    split = command.data ? split_of_file(*run, *command.data) : run->split(command.split);
  });
  auto& ranks = run->ranks(world);
  const auto codes =
      trainer::encode_split(run->parts(split), run->row, run->parameters, ranks, *run->team);
  world.together([&] {
    if (ranks.rank() != 0) return;
    if (command.out.extension() == ".csv") {
      trainer::replace_text_file(command.out, csv_of(codes));
    } else {
      trainer::write_npy(command.out, at::stack({codes.mean, codes.scale}, 1));
    }
    fmt::print("{}: means and scales of {} examples, {} units each\n", command.out.string(),
               codes.mean.size(0), codes.mean.size(1));
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
