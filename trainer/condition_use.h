// Whether a conditional model uses its condition, and how different its samples of one condition
// are.
#pragma once

#include <cstdint>

#include "comm/communicator.h"
#include "trainer/evaluation.h"
#include "trainer/importance_nll.h"
#include "trainer/pack.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// log p(x | c) - log p(x | c'), where c' is another example's condition: how many nats the true one
// is worth. Both by importance sampling with the same number of samples.
struct ConditionUse {
  int64_t examples = 0;
  int64_t samples = 0;
  double nats = 0;            // mean over examples
  double standard_error = 0;  // of that mean of paired differences
};

// Of the first `examples` of the split, at least two; each gets the condition of the next one in a
// fixed random order, so that none keeps its own. Every rank calls it, and all get the same bits.
// Throws comm::PeerLost.
ConditionUse condition_use(const EvaluationParts& parts, const Row& row,
                           const at::Tensor& parameters, int64_t examples, int64_t samples,
                           comm::Communicator& ranks, ThreadTeam& team);

// Mean over the conditions of the first `examples` of the split of the mean absolute difference,
// summed over pixels, of two mean pictures E[x | z, c] with z from the prior: 0 where the latents
// do nothing. As above.
double sample_diversity(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                        int64_t examples, comm::Communicator& ranks, ThreadTeam& team);

}  // namespace elbow::trainer
