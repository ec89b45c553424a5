// What writing and reading Optuna's journal share. Only .cpp files include this: nlohmann-json is
// slow to compile.
#pragma once

#include <nlohmann/json.hpp>

namespace elbow::launch::sweep {

using Json = nlohmann::ordered_json;

// optuna.storages.journal.JournalOperation.
enum class Operation : int {
  kCreateStudy = 0,
  kDeleteStudy = 1,
  kStudyAttribute = 2,
  kStudySystemAttribute = 3,
  kCreateTrial = 4,
  kTrialParameter = 5,
  kTrialState = 6,
  kIntermediateValue = 7,
  kTrialAttribute = 8,
  kTrialSystemAttribute = 9,
};

inline constexpr int kMinimise = 1, kMaximise = 2;  // Optuna's StudyDirection
inline constexpr const char* kOwnAttribute = "elbow";
inline constexpr const char* kScaleNames[] = {"linear", "logarithmic", "categories"};

}  // namespace elbow::launch::sweep
