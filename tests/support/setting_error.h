// What a refused setting says.
#pragma once

#include <functional>
#include <string>

#include "trainer/error.h"

namespace elbow::tests {

// The sentence of the SettingError that `action` throws, or "no error".
inline std::string setting_error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const trainer::SettingError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace elbow::tests
