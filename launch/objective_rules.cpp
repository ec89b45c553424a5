#include "launch/objective_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "launch/setting_table.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

using trainer::SettingError;

std::string printed(const ParsedConfig& config, const std::string& key) {
  return find_setting(key)->print(config.settings);
}

std::string stated(const ParsedConfig& config, const std::string& key) {
  return fmt::format("{} = {} ({})", key, printed(config, key), config.origin(key));
}

bool is_default(const ParsedConfig& config, const std::string& key) {
  return printed(config, key) == find_setting(key)->print(trainer::Settings());
}

// `key` says something only where `switch_key` has one of `values`.
struct Dependence {
  const char* key;
  const char* switch_key;
  std::vector<std::string> values;
};

const std::vector<Dependence>& dependences() {
  static const std::vector<Dependence> all = {
      {"objective.anneal_cycles", "objective.anneal", {"cyclical"}},
      {"objective.anneal_rise", "objective.anneal", {"cyclical"}},
      {"objective.capacity_nats", "objective.capacity", {"batch", "example"}},
      {"objective.capacity_from", "objective.capacity", {"batch", "example"}},
      {"objective.capacity_steps", "objective.capacity", {"batch", "example"}},
      {"model.channels", "model.network", {"conv"}},
      {"model.kernel", "model.network", {"conv"}},
      {"model.sigma", "model.likelihood", {"gaussian", "gaussian_learned"}},
      {"model.condition_into", "model.condition", {"label", "attributes", "mask"}},
      {"model.condition_into", "model.kind", {"vae"}},
      {"model.condition_dropout", "model.condition", {"label", "attributes", "mask"}},
      {"model.path", "model.condition", {"label", "attributes", "mask"}},
      {"model.path", "model.kind", {"vae", "regressor"}},
      {"model.join", "model.condition", {"label", "attributes", "mask"}},
      {"model.join", "model.kind", {"vae", "regressor"}},
      {"model.join_layer", "model.join", {"add"}},
      {"model.prior", "model.condition", {"label", "attributes", "mask"}},
      {"model.prior", "model.kind", {"vae"}},
      {"model.prior_hidden", "model.prior", {"learned"}},
      {"data.mask", "model.condition", {"mask"}},
      {"data.condition_binarise", "model.condition", {"mask"}},
      {"data.train_attributes", "model.condition", {"attributes"}},
      {"data.test_attributes", "model.condition", {"attributes"}},
      {"optimizer.stages", "optimizer.schedule", {"stages"}},
      {"optimizer.milestones", "optimizer.schedule", {"milestones"}},
      {"optimizer.factor", "optimizer.schedule", {"milestones"}},
      {"optimizer.lr_end", "optimizer.schedule", {"cosine"}},
      {"optimizer.second_moment_start", "optimizer.kind", {"adam"}},
  };
  return all;
}

void check_dependences(const ParsedConfig& config) {
  for (const auto& [key, switch_key, values] : dependences()) {
    if (is_default(config, key)) continue;
    const auto value = printed(config, switch_key);
    if (std::find(values.begin(), values.end(), value) != values.end()) continue;
    throw SettingError(fmt::format("{} has no effect with {}: add {}={}", stated(config, key),
                                   stated(config, switch_key), switch_key, values.front()));
  }
}

[[noreturn]] void refuse_pair(const ParsedConfig& config, const char* a, const char* b,
                              const char* why) {
  throw SettingError(fmt::format("{} and {} exclude each other, because {}: leave one of them out",
                                 stated(config, a), stated(config, b), why));
}

void check_schedule(const ParsedConfig& config) {
  const auto& optimizer = config.settings.optimizer;
  for (const char* key : {"stages", "milestones"}) {
    const auto full = fmt::format("optimizer.{}", key);
    if (optimizer.schedule == key && printed(config, full) == "none") {
      throw SettingError(
          fmt::format("{} needs {}, a list of epochs", stated(config, "optimizer.schedule"), full));
    }
  }
}

// What a condition needs, and what a model without latents cannot have.
void check_condition(const ParsedConfig& config) {
  const auto& [data, model, objective] =
      std::tie(config.settings.data, config.settings.model, config.settings.objective);
  if (model.condition == "mask" && data.mask == "none")
    throw SettingError(
        fmt::format("{} needs data.mask, the part of a picture that is given, such as "
                    "data.mask=column:13",
                    stated(config, "model.condition")));
  if (data.train_attributes.empty() != data.test_attributes.empty())
    throw SettingError(fmt::format("{} and {} belong together: give both",
                                   stated(config, "data.train_attributes"),
                                   stated(config, "data.test_attributes")));
  if (model.prior == "learned" && model.posterior != "log_variance")
    refuse_pair(config, "model.prior", "model.posterior",
                "a learned prior is compared with the posterior's log-variance");
  if (model.kind != "regressor") return;
  constexpr const char* kNoLatent = "a regressor has no latents";
  if (objective.kind != "elbo") refuse_pair(config, "model.kind", "objective.kind", kNoLatent);
  if (objective.samples > 1) refuse_pair(config, "model.kind", "objective.samples", kNoLatent);
  if (objective.capacity != "none")
    refuse_pair(config, "model.kind", "objective.capacity", kNoLatent);
  if (objective.free_bits > 0) refuse_pair(config, "model.kind", "objective.free_bits", kNoLatent);
  if (objective.sigma_wt > 0) refuse_pair(config, "model.kind", "objective.sigma_wt", kNoLatent);
}

}  // namespace

void check_objective(const ParsedConfig& config) {
  const auto& objective = config.settings.objective;
  const auto& model = config.settings.model;
  check_dependences(config);
  check_schedule(config);
  check_condition(config);
  if (objective.anneal == "none" && objective.anneal_steps > 0) {
    throw SettingError(fmt::format("{} has no effect with {}: add objective.anneal=linear",
                                   stated(config, "objective.anneal_steps"),
                                   stated(config, "objective.anneal")));
  }
  const bool capacity = objective.capacity != "none", free_bits = objective.free_bits > 0;
  if (capacity && free_bits)
    refuse_pair(config, "objective.capacity", "objective.free_bits", "each replaces the KL");
  if (objective.kind != "elbo") {
    constexpr const char* kNoKl = "an importance-weighted bound has no KL of its own";
    if (capacity) refuse_pair(config, "objective.kind", "objective.capacity", kNoKl);
    if (free_bits) refuse_pair(config, "objective.kind", "objective.free_bits", kNoKl);
    if (model.likelihood == "gaussian_optimal") {
      refuse_pair(config, "objective.kind", "model.likelihood",
                  "the samples' weights need sigma before the batch has told it");
    }
  }
  const int64_t groups = objective.free_bits_groups;
  if (groups == 0) return;
  if (!free_bits) {
    throw SettingError(fmt::format("{} has no effect with {}: give objective.free_bits a number",
                                   stated(config, "objective.free_bits_groups"),
                                   stated(config, "objective.free_bits")));
  }
  if (model.latent % groups != 0) {
    throw SettingError(fmt::format("{} does not divide {}: groups of latents must be equal",
                                   stated(config, "objective.free_bits_groups"),
                                   stated(config, "model.latent")));
  }
}

}  // namespace elbow::launch
