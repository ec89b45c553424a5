// The one table of settings: key, help, type, allowed values, and how text gets into and out of
// trainer::Settings. To add a setting: a member in trainer/settings.h and a line in
// setting_table.cpp.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "trainer/settings.h"

namespace elbow::launch {

// Why a text is no value for a setting: "is not an integer". `config` adds key, value, origin and
// allowed values.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Setting {
  std::string key;      // "objective.kl_wt"
  std::string type;     // "integer", "number", "switch", "choice", "text", "list of integers"
  std::string allowed;  // "1 to 64, or auto"
  std::string help;     // one line
  std::function<void(trainer::Settings&, const std::string& text)> set;  // throws BadValue
  std::function<std::string(const trainer::Settings&)>
      print;                // set() reads it back; "" where unset
  bool may_change = false;  // when a run is resumed: it does not touch what was trained so far

  std::string section() const { return key.substr(0, key.find('.')); }
  std::string member() const { return key.substr(key.find('.') + 1); }
};

// Every setting, grouped by section, in the order of the effective configuration.
const std::vector<Setting>& setting_table();

const Setting* find_setting(const std::string& key);  // nullptr where there is none
const std::vector<std::string>& setting_keys();
const std::vector<std::string>& setting_sections();

}  // namespace elbow::launch
