// One trained row as pictures see it: images in, posteriors out; latent points in, images out. On
// the calling thread, without other ranks, in pieces that need little memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/model.h"
#include "trainer/batch.h"
#include "trainer/dataset.h"

namespace elbow::launch {

struct Posteriors {
  at::Tensor mu;     // [examples, latent], float32, on the CPU
  at::Tensor sigma;  // the same
};

class Codec {
 public:
  // parameters: [1, P], the row's, on any device; model and parameters must outlive the codec.
  // request: how bytes become numbers; where training binarises anew at each presentation, one
  // fixed draw is used.
  Codec(const models::Model& model, const at::Tensor& parameters,
        const trainer::BatchRequest& request);

  // Examples [begin, begin + count) of a split as the encoder gets them: [count, observed].
  at::Tensor examples(const trainer::Split& split, int64_t begin, int64_t count) const;
  Posteriors encode(const at::Tensor& x) const;
  // Mean images: [count, observed], 0 to 1, on the CPU.   z: [count, latent].
  at::Tensor decode(const at::Tensor& z) const;

  // Draws from the prior, [count, latent], on the CPU: the first are the same for every count.
  at::Tensor prior_draws(uint64_t seed, int64_t count) const;

  int64_t latent() const { return model_.latent(); }

 private:
  const models::Model& model_;
  models::BoundParameters parameters_;
  trainer::BatchRequest request_;
  at::Device device_;
};

}  // namespace elbow::launch
