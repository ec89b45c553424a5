// Metrics as JSON, for metrics.jsonl, result.json and checkpoints. Only .cpp files include this:
// nlohmann-json is slow to compile.
#pragma once

#include <nlohmann/json.hpp>

#include "trainer/observer.h"

namespace elbow::trainer {

// Adds `name`; a value that is not finite becomes null, and its name goes into the list
// `nonfinite`.
void put_number(nlohmann::ordered_json& object, const char* name, double value);

nlohmann::ordered_json metrics_json(const SplitMetrics& metrics);

// The reverse, without the covariance; null becomes NaN. Throws DataError that names the member
// where the object is anything else.
SplitMetrics metrics_from_json(const nlohmann::ordered_json& object);

// The aggregated posterior's covariance as a list of rows; empty where it was not kept. Too long
// for a line of metrics.
nlohmann::ordered_json covariance_json(const PosteriorStatistics& posterior);

}  // namespace elbow::trainer
