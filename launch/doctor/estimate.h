// What training with a configuration would take here, from a few steps that are really made.
#pragma once

#include "launch/doctor/facts.h"
#include "launch/training.h"
#include "launch/world.h"

namespace elbow::launch::doctor {

// Of all rows of a pack together, but for evaluation_s and checkpoint_bytes, which are of one.
struct StepCost {
  double step_s = 0;
  double evaluation_s = 0;
  int64_t checkpoint_bytes = 0;
};

// Every rank of the group calls it, and gets rank 0's times. Makes steps, and measures row 0 on
// some of the split that is measured after an epoch. Throws what those throw.
StepCost measure_steps(trainer::Trainer& trainer, const trainer::Dataset& data, int64_t batch_size,
                       comm::Communicator& ranks);

// Every rank calls it. Makes steps on `training`, whose weights are of no use afterwards; writes
// nothing. Throws SharedError where the steps cannot be made, and comm::PeerLost.
Estimate measure_training(Training& training, World& world);

// Lines such as "time       39 s: 4690 steps of 5.1 ms, 10 evaluations of 0.4 s".
std::string estimate_text(const Estimate& estimate);

}  // namespace elbow::launch::doctor
