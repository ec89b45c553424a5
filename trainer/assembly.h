// What a trial's settings describe: its row, its network and its objective.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "models/model.h"
#include "models/objective.h"
#include "trainer/batch.h"
#include "trainer/condition.h"
#include "trainer/dataset.h"
#include "trainer/pack.h"
#include "trainer/settings.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// The row that a trial's settings describe. observed: pixels of an example.
Row row_of(const Settings& settings, int64_t observed);

// The network that a trial's settings describe. Throws SettingError, also where a condition would
// not reach the decoder.
std::unique_ptr<models::Model> model_of(const Settings& settings, const Dataset& data);
// The same where there is no data; convolutions need the images' size and conditions the data, so
// it refuses them.
std::unique_ptr<models::Model> model_of(const Settings& settings, int64_t observed);

// What a trial's settings optimise.
std::unique_ptr<models::Objective> objective_of(const Settings& settings, int64_t observed);

// Leaves of exact mode for these settings; 0 in fast mode.
int64_t leaves_of(const TrainSettings& settings);

// How bytes become numbers in training, and the scale of the loss: 1, or 1 / observed.
BatchRequest request_of(const DataSettings& settings);
double scale_of(const ObjectiveSettings& settings, int64_t observed);

// The picture that a collapsed model draws (mean_picture.h), of the pixels that are explained,
// where the likelihood is a Bernoulli; else undefined. Every rank calls it. Throws comm::PeerLost,
// DataError.
at::Tensor mean_picture_of(const Settings& settings, const Split& train, const ConditionPlan& plan,
                           comm::Communicator& ranks, ThreadTeam& team);

}  // namespace elbow::trainer
