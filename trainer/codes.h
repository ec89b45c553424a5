// The latent codes of a split: where the encoder puts each example.
#pragma once

#include <ATen/core/Tensor.h>

#include "comm/communicator.h"
#include "trainer/evaluation.h"
#include "trainer/pack.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

struct Codes {
  at::Tensor mean;   // float32 [examples, latent], on the host
  at::Tensor scale;  // the same, standard deviations
};

// Of the split as an evaluation sees it, in its order and with its bits. Every rank calls it, and
// all get all. Throws comm::PeerLost, DataError.
Codes encode_split(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                   comm::Communicator& ranks, ThreadTeam& team);

}  // namespace elbow::trainer
