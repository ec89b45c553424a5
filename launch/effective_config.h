// The configuration as text: what RUN/config.cfg holds and `elbow config` prints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "launch/config.h"

namespace elbow::launch {

enum class Origins { kLeaveOut, kAsComments };

// Every key in its section; loading the text gives the same settings. Of beta and kl_wt one is a setting and the other a
// comment: its value where `observed` (D, the observed values of an example) is known, else the formula.
std::string effective_config(const ParsedConfig& config, std::optional<int64_t> observed,
                             Origins origins = Origins::kLeaveOut);

// The table of all keys with type, default, allowed values and help, for `elbow config --keys`.
std::string settings_help();

}  // namespace elbow::launch
