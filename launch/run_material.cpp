#include "launch/run_material.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "launch/condition_pictures.h"
#include "launch/run_weights.h"
#include "trainer/checkpoint.h"
#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/posterior_trace.h"
#include "trainer/run_directory.h"
#include "trainer/trainer.h"

namespace elbow::launch {
namespace {

using trainer::RunDirectory;
using trainer::SettingError;

constexpr int64_t kReconstructions = 36;

// result.json as it is; an empty object where the run has not ended.
nlohmann::json result_of(const RunDirectory& run) {
  if (!std::filesystem::exists(run.result())) return nlohmann::json::object();
  const auto bytes = trainer::read_file(run.result());
  auto result = nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object())
    throw trainer::DataError(
        fmt::format("{} is not a JSON object; remove it to report the run without its end",
                    run.result().string()));
  return result;
}

// A model with its weights, and what looks through them.
struct LoadedModel {
  std::unique_ptr<models::Model> model;
  at::Tensor parameters;
  std::unique_ptr<Codec> codec;
};

std::shared_ptr<LoadedModel> load_model(const trainer::Settings& settings,
                                        const trainer::Dataset& data, const RunDirectory& run,
                                        int64_t step) {
  auto loaded = std::make_shared<LoadedModel>();
  loaded->model = trainer::model_of(settings, data);
  loaded->parameters = read_run_weights(run, step, *loaded->model).parameters;
  loaded->codec = std::make_unique<Codec>(*loaded->model, loaded->parameters,
                                          trainer::request_of(settings.data),
                                          trainer::condition_plan(settings, data));
  return loaded;
}

double number_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

ModelView view_of(const Codec& codec, const trainer::Split& split, const figures::ImageShape& shape,
                  uint64_t seed, int64_t most_encoded) {
  const int64_t count = std::min(split.examples(), most_encoded);
  const auto pairs = codec.examples(split, 0, count);
  ModelView view{.split = split.name, .posteriors = codec.encode(pairs), .shape = shape};
  if (split.labels.defined()) {
    const auto labels = split.labels.narrow(0, 0, count).contiguous();
    view.labels.assign(labels.const_data_ptr<uint8_t>(), labels.const_data_ptr<uint8_t>() + count);
  }
  const int64_t shown = std::min(count, kReconstructions);
  const auto conditions = [condition = pairs.condition](int64_t wanted) {
    return condition.defined() ? condition.index_select(0, at::arange(wanted) % condition.size(0))
                               : condition;
  };
  view.originals = codec.whole({pairs.x.narrow(0, 0, shown), conditions(shown)}).clone();
  view.reconstructions = codec.decode(view.posteriors.mu.narrow(0, 0, shown), conditions(shown));
  view.samples = codec.decode(codec.prior_draws(seed, kPriorSamples), conditions(kPriorSamples));
  const auto first = conditions(1);
  view.decode = [&codec, first](const at::Tensor& z) {
    return codec.decode(z, first.defined() ? first.expand({z.size(0), -1}) : first);
  };
  view.conditions = condition_view(codec, pairs, seed);
  return view;
}

RunMaterial read_run(const std::filesystem::path& folder) {
  const RunDirectory run(folder);
  if (!std::filesystem::is_directory(folder))
    throw SettingError(
        fmt::format("there is no folder {}: give a run folder, such as one below "
                    "runs/",
                    folder.string()));
  if (!std::filesystem::exists(run.config()))
    throw SettingError(
        fmt::format("{} is no run folder: it has no config.cfg; give the folder that "
                    "`elbow train` wrote",
                    folder.string()));
  const auto result = result_of(run);
  RunMaterial material{
      .folder = folder,
      .name = std::filesystem::absolute(folder / "x").lexically_normal().parent_path().filename(),
      .config = parse_config(run.config(), {}, {}),
      .status = result.value("status", "running, or stopped without an end"),
      .seconds = number_of(result, "seconds"),
      .examples_per_s = number_of(result, "examples_per_s"),
      .metrics = read_metrics(run.metrics())};
  if (const auto floors = result.find("recon_floor_nats"); floors != result.end())
    for (const auto& [split, nats] : floors->items())
      if (nats.is_number()) material.recon_floor_nats[split] = nats.get<double>();
  for (const auto& [epoch, file] : trainer::posterior_traces(run.traces()))
    material.traces[epoch] = trainer::load_posterior_trace(file);
  const auto& settings = material.config.settings;
  const auto data = trainer::load_dataset(settings.data);
  material.observed = trainer::condition_plan(settings, data).observed;
  if (trainer::checkpoint_steps(run).empty()) return material;
  const auto loaded = load_model(settings, data, run, chosen_step(run, "latest"));
  material.parameters = loaded->model->layout().trainable();
  material.model =
      view_of(*loaded->codec, data.selection(), {data.height, data.width, data.channels},
              static_cast<uint64_t>(settings.train.seed), kMostEncoded);
  material.model->decode = [loaded, decode = material.model->decode](const at::Tensor& z) {
    return decode(z);
  };
  return material;
}

}  // namespace elbow::launch
