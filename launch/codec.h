// One trained row as pictures see it: images in, posteriors out; latent points in, images out. On
// the calling thread, without other ranks, in pieces that need little memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/model.h"
#include "trainer/batch.h"
#include "trainer/condition.h"
#include "trainer/dataset.h"

namespace elbow::launch {

struct Posteriors {
  at::Tensor mu;     // [examples, latent], float32, on the CPU
  at::Tensor sigma;  // the same
};

// What is to be explained and what is given, without a leading row. `condition` may be undefined.
struct Pairs {
  at::Tensor x;          // [count, observed]
  at::Tensor condition;  // [count, conditions]
};

class Codec {
 public:
  // parameters: [1, P], the row's, on any device; model and parameters must outlive the codec.
  // request: how bytes become numbers; where training binarises anew at each presentation, one
  // fixed draw is used.
  Codec(const models::Model& model, const at::Tensor& parameters,
        const trainer::BatchRequest& request, trainer::ConditionPlan condition);

  // Examples [begin, begin + count) of a split as the model gets them.
  Pairs examples(const trainer::Split& split, int64_t begin, int64_t count) const;
  Posteriors encode(const Pairs& pairs) const;
  // Mean images, 0 to 1, on the CPU, whole with what was given of them: [count, picture].   z:
  // [count, latent]; condition: one for each, or undefined.
  at::Tensor decode(const at::Tensor& z, const at::Tensor& condition) const;
  // x as whole images.
  at::Tensor whole(const Pairs& pairs) const;
  // The pictures [count, picture] with 1/2 where nothing is given.
  at::Tensor given(const at::Tensor& pictures) const;

  const trainer::ConditionPlan& condition() const { return condition_; }

  // Draws from the prior, [count, latent], on the CPU: the first are the same for every count.
  at::Tensor prior_draws(uint64_t seed, int64_t count) const;

  int64_t latent() const { return model_.latent(); }

 private:
  const models::Model& model_;
  models::BoundParameters parameters_;
  trainer::BatchRequest request_;
  trainer::ConditionPlan condition_;
  at::Device device_;
};

}  // namespace elbow::launch
