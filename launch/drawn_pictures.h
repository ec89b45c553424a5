// Pictures that a trained model draws: which codes and conditions to decode for each kind, and the
// result.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "launch/command_line.h"
#include "launch/figures/column_figure.h"
#include "launch/trained_run.h"

namespace elbow::launch {

// Steps of an interpolation or a traversal, and how far a traversal goes to each side.
inline constexpr int64_t kSteps = 8;
inline constexpr double kTraversalReach = 3;

struct DrawnPictures {
  at::Tensor pictures;  // float32 [rows, columns, ...shape of an example], or [count, ...shape]
  std::string what;     // "64 samples from the prior": for people
  std::vector<figures::ColumnGroup> columns{};  // of a picture that has more to say; else empty
};

// E[x | z, c] for codes z and conditions c as command_line's help says; regressor: of
// command.regressor, or null. Every rank calls it, and each does the whole work. Throws
// SettingError where the split has too few examples or the model no such condition, DataError for a
// file.
DrawnPictures draw_pictures(const TrainedRun& run, const SampleCommand& command,
                            const TrainedRun* regressor, comm::Communicator& ranks);

// Mean of 4 p (1 - p) over all pixels: 0 where every pixel is black or white, 1 where all are grey.
double sharpness_of(const at::Tensor& pictures);

}  // namespace elbow::launch
