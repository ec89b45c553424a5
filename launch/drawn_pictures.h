// Pictures that a trained model draws: which codes to decode for each kind, and the result.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "launch/command_line.h"
#include "launch/trained_run.h"

namespace elbow::launch {

// Steps of an interpolation or a traversal, and how far a traversal goes to each side.
inline constexpr int64_t kSteps = 8;
inline constexpr double kTraversalReach = 3;

struct DrawnPictures {
  at::Tensor pictures;  // float32 [rows, columns, ...shape of an example], or [count, ...shape]
  std::string what;     // "64 samples from the prior": for people
};

// E[x | z] for codes z as command_line's help says. Every rank calls it, and each does the whole
// work. Throws SettingError where the split has too few examples.
DrawnPictures draw_pictures(const TrainedRun& run, const SampleCommand& command,
                            comm::Communicator& ranks);

// Mean of 4 p (1 - p) over all pixels: 0 where every pixel is black or white, 1 where all are grey.
double sharpness_of(const at::Tensor& pictures);

}  // namespace elbow::launch
