// The data as this rank reads it.
#pragma once

#include "launch/doctor/facts.h"
#include "trainer/dataset.h"
#include "trainer/settings.h"

namespace elbow::launch::doctor {

// Loads the data and notes the hashes of its files, or why it cannot be used: then the data set is
// empty. Local; throws nothing for bad data.
trainer::Dataset load_data(const trainer::DataSettings& settings, DataFacts& facts);

}  // namespace elbow::launch::doctor
