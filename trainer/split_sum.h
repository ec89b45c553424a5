// Sums over all examples of a split: leaves of a fixed number of examples, shared out over ranks
// and threads, added in one fixed tree (tree_sum.h), so that the bits depend on none of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "comm/communicator.h"
#include "trainer/leaves.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

inline constexpr int64_t kEvaluationLeaf = 256;  // examples; part of every logged number's bits

// This rank's contiguous share of `examples`, in whole leaves.
Range own_examples(int64_t examples, const comm::Communicator& ranks);

// Calls `measure` once for each leaf of this rank's share, several at a time; `sums` receives
// `numbers` float64. Every rank calls it, and all get the total [numbers]. Throws comm::PeerLost.
using MeasureLeaf = std::function<void(Range examples, double* sums)>;
at::Tensor sum_over_split(int64_t examples, int64_t numbers, const MeasureLeaf& measure,
                          comm::Communicator& ranks, ThreadTeam& team);

// The values of all examples, in order: own [own_examples().size(), ...] of each rank one after
// another. Every rank calls it.
at::Tensor gather_examples(int64_t examples, const at::Tensor& own, comm::Communicator& ranks);

// The same where each rank has its part_of() `total` values, without regard to leaves.
at::Tensor gather_parts(int64_t total, const at::Tensor& own, comm::Communicator& ranks);

}  // namespace elbow::trainer
