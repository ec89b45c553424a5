// Values of flags read from their texts. What is wrong with one is a UsageError, in one sentence.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "launch/command_line.h"
#include "launch/config_level.h"
#include "launch/nearest_name.h"
#include "launch/number_text.h"

namespace elbow::launch {

// One of several names.
template <class Value>
Value one_of(const std::string& flag, const std::string& text,
             const std::vector<std::pair<std::string, Value>>& choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names.push_back(name);
  }
  throw UsageError(fmt::format("{} = '{}' (command line) is not known{}; allowed: {}", flag,
                               shown(text), did_you_mean(text, names), fmt::join(names, ", ")));
}

inline int64_t whole_number(const std::string& flag, const std::string& text, int64_t low,
                            int64_t high) {
  const auto value = integer_from_text(text);
  if (!value || *value < low || *value > high)
    throw UsageError(fmt::format("{} = '{}' (command line) is not an integer from {} to {}", flag,
                                 shown(text), low, high));
  return *value;
}

}  // namespace elbow::launch
