#include "launch/config_level.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/parsers.hpp>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "launch/nearest_name.h"
#include "launch/number_text.h"
#include "launch/setting_table.h"
#include "launch/sweep/sweep_settings.h"
#include "trainer/error.h"

namespace elbow::launch {
namespace {

namespace po = boost::program_options;
using trainer::SettingError;

constexpr std::string_view kVariablePrefix = "ELBOW_CFG_";
constexpr std::string_view kSweepPrefix = "sweep.";
constexpr size_t kLargestFileBytes = 1 << 20;

// An axis of a sweep is "sweep." before the key of a setting.
bool is_known(const std::string& key) {
  if (!is_sweep_key(key)) return find_setting(key) != nullptr;
  return sweep::find_sweep_setting(key) != nullptr ||
         find_setting(key.substr(kSweepPrefix.size())) != nullptr;
}

std::string nearest_to(const std::string& key) {
  if (!is_sweep_key(key)) return did_you_mean(key, setting_keys());
  const std::string own = did_you_mean(key, sweep::sweep_setting_keys());
  return own.empty() ? did_you_mean(key.substr(kSweepPrefix.size()), setting_keys()) : own;
}

void add(ConfigLevel& level, Given given) {
  if (!is_known(given.key)) {
    throw SettingError(fmt::format("unknown key {} ({}){}; `elbow config --keys` lists all keys",
                                   shown(given.key), given.origin, nearest_to(given.key)));
  }
  for (const Given& earlier : level) {
    if (earlier.key != given.key) continue;
    throw SettingError(fmt::format("{} is given twice: '{}' ({}) and '{}' ({}); keep one of them",
                                   given.key, shown(earlier.value), earlier.origin,
                                   shown(given.value), given.origin));
  }
  level.push_back(std::move(given));
}

// The name inside "[name]", checked against the known sections.
std::string section_of(std::string_view line, const std::string& origin) {
  std::string name(without_outer_blanks(line.substr(1, line.size() - 2)));
  auto known = setting_sections();
  known.emplace_back("sweep");
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw SettingError(fmt::format("unknown section [{}] ({}){}; sections are {}", shown(name),
                                   origin, did_you_mean(name, known), fmt::join(known, ", ")));
  }
  return name;
}

// What Boost reads in one line of `section`: nothing for a comment or an empty line.
std::vector<po::option> options_in_line(const std::string& section, const std::string& line,
                                        const std::string& origin) {
  std::istringstream text(section.empty() ? line : "[" + section + "]\n" + line);
  try {
    const po::options_description any_key;
    return po::parse_config_file(text, any_key, /*allow_unregistered=*/true).options;
  } catch (const po::invalid_config_file_syntax&) {
    throw SettingError(fmt::format("'{}' ({}) is not 'key = value', '[section]' or a '# comment'",
                                   shown(line), origin));
  }
}

std::string text_of(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    throw SettingError(fmt::format("there is no configuration file {}", shown(file.string())));
  if (std::filesystem::is_directory(file, error))
    throw SettingError(fmt::format("{} is a folder, not a configuration file", file.string()));
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw SettingError(fmt::format("cannot read the configuration file {}: {}", file.string(),
                                   std::strerror(errno)));
  }
  std::string text(kLargestFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kLargestFileBytes || text.find('\0') != std::string::npos)
    throw SettingError(fmt::format("{} is not a text file with settings", file.string()));
  return text;
}

// ELBOW_CFG_OBJECTIVE__KL_WT -> objective.kl_wt; …_SWEEP__OBJECTIVE__KL_WT ->
// sweep.objective.kl_wt
std::string key_of_variable(std::string_view name) {
  name.remove_prefix(kVariablePrefix.size());
  std::string key;
  while (!name.empty()) {
    const bool gap = name.starts_with("__");
    key += gap ? '.' : static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
    name.remove_prefix(gap ? 2 : 1);
  }
  return key;
}

}  // namespace

bool is_sweep_key(std::string_view key) { return key.starts_with(kSweepPrefix); }

Environment current_environment() {
  Environment variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kVariablePrefix) || equals == std::string_view::npos) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(variables.begin(), variables.end());
  return variables;
}

ConfigLevel level_from_file(const std::filesystem::path& file) {
  return level_from_text(text_of(file), file.string());
}

ConfigLevel level_from_text(std::string_view text, const std::string& source) {
  ConfigLevel level;
  std::istringstream lines{std::string(text)};
  std::string line;
  std::string section;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string origin = fmt::format("{}:{}", source, number);
    const std::string_view bare =
        without_outer_blanks(std::string_view(line).substr(0, line.find('#')));
    if (bare.starts_with('[') && bare.ends_with(']')) {
      section = section_of(bare, origin);
      continue;
    }
    for (const po::option& option : options_in_line(section, line, origin))
      add(level, {option.string_key, option.value.front(), origin});
  }
  return level;
}

ConfigLevel level_from_environment(const Environment& environment) {
  ConfigLevel level;
  for (const auto& [name, value] : environment) {
    add(level, {key_of_variable(name), std::string(without_outer_blanks(value)),
                "environment variable " + name});
  }
  return level;
}

ConfigLevel level_from_words(const std::vector<std::string>& words) {
  ConfigLevel level;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      throw SettingError(
          fmt::format("'{}' (command line) is not key=value, such as train.epochs=3", shown(word)));
    }
    add(level, {std::string(without_outer_blanks(word.substr(0, equals))),
                std::string(without_outer_blanks(word.substr(equals + 1))), "command line"});
  }
  return level;
}

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string visible(text.substr(0, kLongest));
  for (char& c : visible)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text.size() > kLongest ? visible + "..." : visible;
}

}  // namespace elbow::launch
