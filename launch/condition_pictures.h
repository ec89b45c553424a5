// Pictures of what a conditional model draws.
#pragma once

#include <cstdint>
#include <optional>

#include "launch/codec.h"
#include "launch/run_material.h"

namespace elbow::launch {

// For a part of a picture: what is given of some of the pairs, samples, and the truth. For classes:
// a column a class, a row a draw of the prior. Nothing for attributes, or without a condition.
std::optional<ConditionView> condition_view(const Codec& codec, const Pairs& pairs, uint64_t seed);

// Of the first `rows` pairs: given, `samples` samples, what `regressor` makes of the same condition
// (where it is not null), and the truth. A mask is needed.
ConditionView completion_view(const Codec& codec, const Pairs& pairs, const Codec* regressor,
                              const Pairs* regressor_pairs, int64_t rows, int64_t samples,
                              uint64_t seed);

}  // namespace elbow::launch
