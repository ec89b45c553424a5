// What a trial's settings describe: its row, its network and its objective.
#pragma once

#include <memory>

#include "models/model.h"
#include "models/objective.h"
#include "trainer/pack.h"
#include "trainer/settings.h"

namespace elbow::trainer {

// The row that a trial's settings describe. observed: pixels of an example.
Row row_of(const Settings& settings, int64_t observed);

// The network that a trial's settings describe.
std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed);

// What a trial's settings optimise.
std::unique_ptr<models::Objective> objective_of(const Settings& settings, int64_t observed);

// Leaves of exact mode for these settings; 0 in fast mode.
int64_t leaves_of(const TrainSettings& settings);

}  // namespace elbow::trainer
