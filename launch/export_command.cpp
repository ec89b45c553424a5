#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "launch/commands.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "trainer/build_info.h"
#include "trainer/error.h"
#include "trainer/text_file.h"
#include "trainer/weights_file.h"

namespace elbow::launch {
namespace {

using Json = nlohmann::ordered_json;

Json layer(const std::string& name, const std::string& activation) {
  return {{"type", "linear"}, {"name", name}, {"activation", activation}};
}

// The hidden layers of one side, "encoder.layers.0" and so on.
Json hidden_layers(const char* side, size_t count, const std::string& activation) {
  auto layers = Json::array();
  for (size_t i = 0; i < count; ++i)
    layers.push_back(layer(fmt::format("{}.layers.{}", side, i), activation));
  return layers;
}

// What model.json says: the layers in order, each with the names of its tensors before ".weight"
// and ".bias".
Json description_of(const TrainedRun& run) {
  const auto& s = run.settings();
  auto decoder = hidden_layers("decoder", s.model.decoder.size(), s.model.activation);
  // The likelihood's mean is a sigmoid of the last layer only for a Bernoulli.
  decoder.push_back(
      layer("decoder.output", s.model.likelihood == "bernoulli" ? "sigmoid" : "identity"));
  const bool softplus = s.model.posterior != "log_variance";
  return {{"format", "elbow-model 1"},
          {"elbow", trainer::build_info().elbow},
          {"kind", s.model.kind},
          {"weights", "model.safetensors"},
          {"step", run.row.step},
          {"input",
           {{"shape", run.data.shape()},
            {"range", {0, 1}},
            {"binarise", s.data.binarise},
            {"threshold", s.data.threshold}}},
          {"latent", s.model.latent},
          {"encoder", hidden_layers("encoder", s.model.encoder.size(), s.model.activation)},
          {"posterior",
           {{"mean", "encoder.mean"},
            {"scale", softplus ? "encoder.scale" : "encoder.log_variance"},
            {"scale_is", softplus ? "softplus" : "log_variance"}}},
          {"decoder", decoder},
          {"likelihood", s.model.likelihood}};
}

}  // namespace

ExitCode run_export(const ExportCommand& command, World& world) {
  const auto run = open_run(world, command.choice);
  world.together([&] {
    if (world.ranks().rank() != 0) return;
    const auto& model = run->settings().model;
    if (model.kind != "vae" || model.condition != "none") {
      throw trainer::SettingError(fmt::format(
          "model.json describes plain VAEs only, and the run has model.kind = {} with "
          "model.condition = {}: read its checkpoints/step_*/model.safetensors, whose tensors have "
          "PyTorch's layout",
          model.kind, model.condition));
    }
    if (model.network != "mlp") {
      throw trainer::SettingError(
          "model.json describes dense layers only, and the run has model.network = conv: read its "
          "checkpoints/step_*/model.safetensors, whose tensors have PyTorch's layout");
    }
    std::error_code error;
    std::filesystem::create_directories(command.out, error);
    if (error)
      throw trainer::SettingError(
          fmt::format("cannot create the folder {}: {}; choose another "
                      "with --out",
                      command.out.string(), error.message()));
    trainer::write_safetensors(command.out / "model.safetensors",
                               run->model->layout().to_named(run->parameters.select(0, 0)));
    trainer::replace_text_file(command.out / "model.json", description_of(*run).dump(2) + "\n");
    fmt::print("{}: model.safetensors, model.json\n", command.out.string());
  });
  return ExitCode::kDone;
}

}  // namespace elbow::launch
