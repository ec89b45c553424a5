#include "launch/config.h"

#include <fmt/format.h>

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/variables_map.hpp>

#include "launch/objective_rules.h"
#include "launch/setting_table.h"
#include "trainer/error.h"

extern "C" {
extern const char elbow_builtin_config_begin[];
extern const char elbow_builtin_config_end[];
}

namespace elbow::launch {
namespace {

namespace po = boost::program_options;
using trainer::SettingError;

constexpr const char* kBeta = "objective.beta";
constexpr const char* kKlWeight = "objective.kl_wt";

const Given* find(const ConfigLevel& level, const std::string& key) {
  for (const Given& given : level)
    if (given.key == key) return &given;
  return nullptr;
}

// beta and kl_wt are one setting in two units: within a level only one may be given, and the
// highest level that gives one hides both on the levels below.
void resolve_kl_weight(std::vector<ConfigLevel>& levels) {
  bool decided = false;
  for (ConfigLevel& level : levels) {
    const Given* beta = find(level, kBeta);
    const Given* kl_wt = find(level, kKlWeight);
    if (beta != nullptr && kl_wt != nullptr) {
      throw SettingError(
          fmt::format("objective.beta = {} ({}) and objective.kl_wt = {} ({}) exclude each other, "
                      "because beta = "
                      "kl_wt * D: give one of them",
                      shown(beta->value), beta->origin, shown(kl_wt->value), kl_wt->origin));
    }
    const bool gives_one = beta != nullptr || kl_wt != nullptr;
    if (decided)
      std::erase_if(level, [](const Given& g) { return g.key == kBeta || g.key == kKlWeight; });
    decided = decided || gives_one;
  }
}

po::options_description description_of_settings() {
  po::options_description description;
  const trainer::Settings defaults;
  for (const Setting& setting : setting_table()) {
    auto* value = po::value<std::string>();
    const std::string text = setting.print(defaults);
    if (!text.empty()) value->default_value(text);
    description.add_options()(setting.key.c_str(), value, setting.help.c_str());
  }
  return description;
}

// Boost keeps, for each key, the value of the first level that gives it, and the default where none
// does.
po::variables_map merged(const std::vector<ConfigLevel>& levels,
                         const po::options_description& description) {
  po::variables_map values;
  for (const ConfigLevel& level : levels) {
    po::parsed_options parsed(&description);
    for (const Given& given : level)
      parsed.options.emplace_back(given.key, std::vector<std::string>{given.value});
    po::store(parsed, values);
  }
  return values;
}

void assign(ParsedConfig& config, const Setting& setting, const std::string& value) {
  try {
    setting.set(config.settings, value);
  } catch (const BadValue& bad) {
    throw SettingError(fmt::format("{} = {} ({}) {}; allowed: {}", setting.key, shown(value),
                                   config.origin(setting.key), bad.what(), setting.allowed));
  }
}

std::string stated(const ParsedConfig& config, const std::string& key) {
  return fmt::format("{} = {} ({})", key, shown(find_setting(key)->print(config.settings)),
                     config.origin(key));
}

// Of drawn shapes; their defaults say nothing.
void refuse_synthetic_keys(const ParsedConfig& config) {
  const trainer::Settings defaults;
  for (const char* key :
       {"data.seed", "data.examples", "data.test_examples", "data.height", "data.width"}) {
    const Setting& setting = *find_setting(key);
    if (setting.print(config.settings) == setting.print(defaults)) continue;
    throw SettingError(fmt::format("{} has no effect with {}: add data.source=synthetic",
                                   stated(config, key), stated(config, "data.source")));
  }
}

void check_npy_keys(const ParsedConfig& config) {
  const trainer::DataSettings& data = config.settings.data;
  const bool is_npy = data.source == "npy";
  for (const char* key :
       {"data.train_images", "data.test_images", "data.train_labels", "data.test_labels"}) {
    const bool given = !find_setting(key)->print(config.settings).empty();
    if (given && !is_npy)
      throw SettingError(fmt::format("{} has no effect with {}: add data.source=npy",
                                     stated(config, key), stated(config, "data.source")));
    if (!given && is_npy && std::string_view(key).ends_with("images"))
      throw SettingError(
          fmt::format("{} needs {}, the path of a .npy file", stated(config, "data.source"), key));
  }
}

}  // namespace

void check_config(const ParsedConfig& config) {
  const trainer::Settings& s = config.settings;
  if (s.data.source == "idx" && s.data.dir.empty()) {
    throw SettingError(fmt::format("{} needs data.dir, the folder with MNIST's four file names",
                                   stated(config, "data.source")));
  }
  if (s.data.source != "idx" && !s.data.dir.empty()) {
    throw SettingError(fmt::format("{} reads no folder, but {} is given: add data.source=idx",
                                   stated(config, "data.source"), stated(config, "data.dir")));
  }
  if (s.data.source != "idx" && s.data.in_memory != "auto") {
    throw SettingError(fmt::format("{} has no effect with {}: it is for data.source=idx",
                                   stated(config, "data.in_memory"),
                                   stated(config, "data.source")));
  }
  check_npy_keys(config);
  if (s.data.source != "synthetic") refuse_synthetic_keys(config);
  if (s.train.leaves > s.train.batch_size) {
    throw SettingError(fmt::format("{} is more than {}: allowed are at most as many leaves as rows",
                                   stated(config, "train.leaves"),
                                   stated(config, "train.batch_size")));
  }
  if (s.train.precision == "bf16" && s.train.reproducible == "exact") {
    throw SettingError(
        fmt::format("{} excludes {}, because no bits are promised for its products: "
                    "use train.precision=fp32 or train.reproducible=fast",
                    stated(config, "train.precision"), stated(config, "train.reproducible")));
  }
  check_objective(config);
}

namespace {

void make_paths_absolute(trainer::DataSettings& data) {
  for (std::string* path : {&data.dir, &data.train_images, &data.test_images, &data.train_labels,
                            &data.test_labels, &data.train_attributes, &data.test_attributes}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal().string();
  }
}

// Of one run, which has no use for [sweep].
ParsedConfig config_from(std::vector<ConfigLevel> levels) {  // highest level first
  for (const ConfigLevel& level : levels) {
    for (const Given& given : level) {
      if (!is_sweep_key(given.key)) continue;
      throw SettingError(
          fmt::format("{} = {} ({}) is for `elbow sweep`, and this is one run: use "
                      "that, or another configuration",
                      given.key, shown(given.value), given.origin));
    }
  }
  ParsedConfig config = unchecked_config(std::move(levels));
  check_config(config);
  return config;
}

}  // namespace

std::string ParsedConfig::origin(const std::string& key) const {
  const auto found = origins.find(key);
  return found == origins.end() ? "default" : found->second;
}

ParsedConfig unchecked_config(std::vector<ConfigLevel> levels) {
  resolve_kl_weight(levels);
  const auto description = description_of_settings();
  const auto values = merged(levels, description);
  ParsedConfig config;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level)
    for (const Given& given : *level) config.origins[given.key] = given.origin;
  for (const Setting& setting : setting_table())
    if (values.count(setting.key) != 0)
      assign(config, setting, values[setting.key].as<std::string>());
  auto& objective = config.settings.objective;
  if (!objective.beta && !objective.kl_wt) objective.beta = 1.0;
  make_paths_absolute(config.settings.data);
  return config;
}

ParsedConfig parse_config(const std::optional<std::filesystem::path>& file,
                          const std::vector<std::string>& words, const Environment& environment) {
  const auto from_file =
      file ? level_from_file(*file) : level_from_text(builtin_config_text(), "built-in kl_vae.cfg");
  ParsedConfig config =
      config_from({level_from_words(words), level_from_environment(environment), from_file});
  config.name = file ? file->stem().string() : "kl_vae";
  return config;
}

ParsedConfig parse_config_text(std::string_view text, const std::string& source) {
  ParsedConfig config = config_from({level_from_text(text, source)});
  config.name = std::filesystem::path(source).stem().string();
  return config;
}

std::string_view builtin_config_text() {
  return {elbow_builtin_config_begin, elbow_builtin_config_end};
}

}  // namespace elbow::launch
