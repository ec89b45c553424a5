#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <string>

#include "launch/commands.h"
#include "launch/file_split.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/codes.h"
#include "trainer/error.h"
#include "trainer/npy_file.h"
#include "trainer/text_file.h"

namespace elbow::launch {
namespace {

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
    if (run->model->latent() == 0)
      throw trainer::SettingError(
          "the run has model.kind = regressor, which has no latent codes: encode a run with "
          "latents");
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
