// What a split says about pixels before there is any model: their means, and the entropy that a
// Bernoulli loss on grey values cannot go below. Counted in integers, so that the same numbers come
// out on any number of ranks and threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>

#include "comm/communicator.h"
#include "trainer/batch.h"
#include "trainer/dataset.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// Mean of every pixel over all examples, as training sees them: [observed], float64, in [0, 1]. A
// pixel that is drawn anew at each presentation counts with its probability. Every rank calls it
// and reads its share of the split. Of a split of more than `at_most` examples, so many of them,
// evenly spaced.   Throws comm::PeerLost, DataError.
at::Tensor pixel_means(const Split& split, const BatchRequest& request, comm::Communicator& ranks,
                       ThreadTeam& team, int64_t at_most = std::numeric_limits<int64_t>::max());

// Mean over examples of sum_d H(x_d), H(x) = -x log x - (1 - x) log(1 - x) for x = byte / 255
// or a float32 in [0, 1], in nats: the smallest cross-entropy that any decoder can reach. For a
// split in memory.
double entropy_floor_nats(const at::Tensor& images);

// Share of numbers that are 0 as training sees them at first, in up to `at_most` examples, evenly
// spaced. The same on every rank.   Throws DataError.
double zero_share(const Split& split, const BatchRequest& request, int64_t at_most = 256);

}  // namespace elbow::trainer
