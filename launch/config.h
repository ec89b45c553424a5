// The configuration of a run: which settings hold, and where each came from. A key on the command
// line replaces the environment's, that replaces the file's, that replaces the default. Where no
// file is given, configs/kl_vae.cfg, as it was when the program was built, is the file.
//
// Rank 0 parses; the others parse the text that effective_config() makes of it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/config_level.h"
#include "trainer/settings.h"

namespace elbow::launch {

struct ParsedConfig {
  trainer::Settings settings;  // checked; exactly one of objective.beta and objective.kl_wt is set
  std::string name;            // of the file, without folder and ending
  std::map<std::string, std::string> origins;  // by key; a key without an entry has its default

  // "configs/a.cfg:12", "environment variable ELBOW_CFG_TRAIN__SEED", "command line",
  // "built-in kl_vae.cfg:33" or "default".
  std::string origin(const std::string& key) const;
};

// Throws trainer::SettingError: one sentence with the key, its value, its origin, what is allowed
// and what to do.
ParsedConfig parse_config(const std::optional<std::filesystem::path>& file,
                          const std::vector<std::string>& words, const Environment& environment);

// The same from a text alone, such as another rank's effective configuration.
ParsedConfig parse_config_text(std::string_view text, const std::string& source);

// From levels without sweep keys, the highest first, with every value checked by itself.
ParsedConfig unchecked_config(std::vector<ConfigLevel> levels);

// What no single key shows. Whatever needs the data or the ranks is checked where those are known.
void check_config(const ParsedConfig& config);

std::string_view builtin_config_text();

}  // namespace elbow::launch
