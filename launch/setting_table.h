// The one table of settings: key, help, type, allowed values, and how text gets into and out of
// trainer::Settings. To add a setting: a member in trainer/settings.h and a line in
// setting_table.cpp.
#pragma once

#include <string>
#include <vector>

#include "launch/setting_kinds.h"
#include "trainer/settings.h"

namespace elbow::launch {

using Setting = SettingOf<trainer::Settings>;

// Every setting, grouped by section, in the order of the effective configuration.
const std::vector<Setting>& setting_table();

const Setting* find_setting(const std::string& key);  // nullptr where there is none
const std::vector<std::string>& setting_keys();
const std::vector<std::string>& setting_sections();

}  // namespace elbow::launch
