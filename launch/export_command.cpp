#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/commands.h"
#include "launch/trained_run.h"
#include "launch/world.h"
#include "models/image_layers.h"
#include "trainer/build_info.h"
#include "trainer/error.h"
#include "trainer/text_file.h"
#include "trainer/weights_file.h"

namespace elbow::launch {
namespace {

using Json = nlohmann::ordered_json;

Json dense(const std::string& name, const std::string& activation) {
  return {{"type", "linear"}, {"name", name}, {"activation", activation}};
}

// The dense hidden layers of one side, "encoder.layers.0" and so on.
Json hidden_layers(const char* side, size_t count, const std::string& activation) {
  auto layers = Json::array();
  for (size_t i = 0; i < count; ++i)
    layers.push_back(dense(fmt::format("{}.layers.{}", side, i), activation));
  return layers;
}

// Of a run with convolutions.
models::ImageShape image_of(const TrainedRun& run) {
  const auto& model = run.settings().model;
  return {run.data.height, run.data.width, run.data.channels, model.channels, model.kernel};
}

// What each convolution of the encoder reads; none of a perceptron.
std::vector<models::PatchShape> convolutions_of(const TrainedRun& run) {
  if (run.settings().model.network != "conv") return {};
  return models::steps_inwards(image_of(run));
}

Json convolution(const std::string& name, const models::PatchShape& step,
                 const std::string& activation) {
  return {{"type", "convolution"},
          {"name", name},
          {"stride", step.stride},
          {"padding", step.padding()},
          {"activation", activation}};
}

// PyTorch wants to know which of the sizes that are possible the image of `step` has.
Json transposed(const std::string& name, const models::PatchShape& step,
                const std::string& activation) {
  auto json = convolution(name, step, activation);
  const auto missing = [&](int64_t size, int64_t patches) {
    return size - ((patches - 1) * step.stride - 2 * step.padding() + step.kernel);
  };
  json["type"] = "transposed_convolution";
  json["output_padding"] = {missing(step.height, step.patch_rows()),
                            missing(step.width, step.patch_columns())};
  return json;
}

Json encoder_of(const TrainedRun& run) {
  const auto& model = run.settings().model;
  auto layers = Json::array();
  for (const auto& step : convolutions_of(run))
    layers.push_back(
        convolution(fmt::format("encoder.convolutions.{}", layers.size()), step, model.activation));
  for (const auto& layer : hidden_layers("encoder", model.encoder.size(), model.activation))
    layers.push_back(layer);
  return layers;
}

Json decoder_of(const TrainedRun& run) {
  const auto& model = run.settings().model;
  auto layers = hidden_layers("decoder", model.decoder.size(), model.activation);
  // The likelihood's mean is a sigmoid of the last layer only for a Bernoulli.
  const auto* last = model.likelihood == "bernoulli" ? "sigmoid" : "identity";
  const auto steps = convolutions_of(run);
  if (steps.empty()) {
    layers.push_back(dense("decoder.output", last));
    return layers;
  }
  auto features = dense("decoder.features", model.activation);
  features["output_shape"] = {model.channels.back(), steps.back().patch_rows(),
                              steps.back().patch_columns()};
  layers.push_back(features);
  for (size_t i = 0; i < steps.size(); ++i)
    layers.push_back(transposed(fmt::format("decoder.convolutions.{}", i),
                                steps[steps.size() - 1 - i], model.activation));
  layers.push_back(transposed("decoder.output", models::last_step(image_of(run)), last));
  return layers;
}

// What model.json says: the layers in order, each with the names of its tensors before ".weight"
// and ".bias". Convolutions see an image as input.channels_first, whatever the order of its file.
Json description_of(const TrainedRun& run) {
  const auto& s = run.settings();
  const bool softplus = s.model.posterior != "log_variance";
  Json input = {{"shape", run.data.shape()},
                {"range", {0, 1}},
                {"binarise", s.data.binarise},
                {"threshold", s.data.threshold}};
  if (s.model.network == "conv")
    input["channels_first"] = {run.data.channels, run.data.height, run.data.width};
  return {{"format", "elbow-model 1"},
          {"elbow", trainer::build_info().elbow},
          {"kind", s.model.kind},
          {"weights", "model.safetensors"},
          {"step", run.row.step},
          {"input", input},
          {"latent", s.model.latent},
          {"encoder", encoder_of(run)},
          {"posterior",
           {{"mean", "encoder.mean"},
            {"scale", softplus ? "encoder.scale" : "encoder.log_variance"},
            {"scale_is", softplus ? "softplus" : "log_variance"}}},
          {"decoder", decoder_of(run)},
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
