// log p(x) of each example by importance sampling from the posterior (Burda et al. 2016, equation
// 8, as an estimate): log 1/K sum_k w_k with w_k = p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x).
// A lower bound of log p(x) in expectation, that grows with K. With a condition c all of this is
// given c. Samples may come from the prior instead (Sohn et al. 2015, equation 7): w_k = p(x |
// z_k).
//
// An example is computed whole by one thread, with shapes that depend on K alone, so that its bits
// depend on no rank, thread or neighbour; memory does not depend on K.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "comm/communicator.h"
#include "trainer/evaluation.h"
#include "trainer/pack.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// Logarithms of weights, one at a time, in float64: the largest is kept apart, so that nothing
// overflows.
class LogWeights {
 public:
  void add(double log_weight);

  int64_t count() const { return count_; }
  double log_mean() const;                     // log (1/K sum w)
  double effective_samples() const;            // (sum w)^2 / sum w^2, between 1 and K
  double largest() const { return largest_; }  // log of the largest weight

 private:
  int64_t count_ = 0;
  double largest_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0, square_sum_ = 0;  // of w / exp(largest)
};

struct ImportanceNll {
  int64_t examples = 0;
  int64_t samples = 0;           // K
  double nll_nats = 0;           // mean over examples of -log p(x)
  double standard_error = 0;     // of that mean: standard deviation over examples / sqrt(N)
  double effective_samples = 0;  // mean over examples
  double effective_samples_min = 0;
  double best_nats = 0;  // mean over examples of the smallest -log w_k
  at::Tensor values;     // float64 [examples, 2]: log p(x), effective samples
};

struct NllSampling {
  bool from_prior = false;
  // Of a conditional model: example i is measured under the condition of example partners[i];
  // empty: its own.
  std::vector<int64_t> partners{};
};

// Of the first `examples` of the split. The noise of sample k is draw k + 1 of the evaluation's, so
// that draw 0, which the ELBO uses, is not among them. Every rank calls it, and all get the same
// bits. samples below 2^24. Throws comm::PeerLost.
ImportanceNll importance_nll(const EvaluationParts& parts, const Row& row,
                             const at::Tensor& parameters, int64_t examples, int64_t samples,
                             comm::Communicator& ranks, ThreadTeam& team,
                             const NllSampling& sampling = {});

}  // namespace elbow::trainer
