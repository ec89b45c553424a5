// One level of the configuration: the keys that a file, the environment or the command line gives,
// as text, with where each came from. Known keys only, each at most once; the values are not looked
// at yet.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elbow::launch {

struct Given {
  std::string key;
  std::string value;
  std::string origin;  // "configs/a.cfg:12", "environment variable ELBOW_CFG_…", "command line"
};
using ConfigLevel = std::vector<Given>;

// Whether a key belongs to [sweep]: a setting of the sweep ("sweep.search") or an axis
// ("sweep.objective.kl_wt"). Levels hold those as well.
bool is_sweep_key(std::string_view key);

using Environment = std::vector<std::pair<std::string, std::string>>;
Environment current_environment();  // this process's variables that begin with ELBOW_CFG_

// All throw trainer::SettingError: one sentence with the key, where it stands, and the nearest
// known name.
ConfigLevel level_from_file(const std::filesystem::path& file);
// Origin "SOURCE:LINE".
ConfigLevel level_from_text(std::string_view text, const std::string& source);
// Names are ELBOW_CFG_SECTION__KEY, and ELBOW_CFG_SWEEP__SECTION__KEY for an axis.
ConfigLevel level_from_environment(const Environment& environment);
// Words are "section.key=value".
ConfigLevel level_from_words(const std::vector<std::string>& words);

// `text` for an error sentence: control characters replaced, long ones cut.
std::string shown(std::string_view text);

}  // namespace elbow::launch
