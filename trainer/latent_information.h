// How much the latent code says of the example, and how far its units are from independent: the
// three parts of the KL (Hoffman & Johnson 2016; Chen et al. 2018, equation 2), estimated with the
// aggregated posterior q(z) = 1/N sum_j q(z | x_j) over all N examples and one z for each:
//
//   mean KL = I(x; z) + KL(q(z) || prod_l q(z_l)) + sum_l KL(q(z_l) || p(z_l))
//             mutual     total correlation          by unit
//
// No estimate of I(x; z) over N examples can exceed log N. Costs N^2 latent exponentials.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "comm/communicator.h"
#include "trainer/codes.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

struct LatentInformation {
  int64_t examples = 0;     // N
  double mutual_nats = 0;   // I(x; z)
  double mutual_bound = 0;  // log N
  double total_correlation_nats = 0;
  double unit_kl_nats = 0;  // sum over units of KL(q(z_l) || N(0, 1))
};

// The largest N that an evaluation spends N^2 latent exponentials on: at most 10,000, and fewer
// above 200 latent units.
int64_t information_examples(int64_t examples, int64_t latent);

// codes: of all examples. noise: float32 [examples, latent], standard normal; z = mean + scale *
// noise. An example is computed by one thread, so the bits depend on the codes and the noise alone.
// Every rank calls it, and all get the result. Throws comm::PeerLost.
LatentInformation latent_information(const Codes& codes, const at::Tensor& noise,
                                     comm::Communicator& ranks, ThreadTeam& team);

}  // namespace elbow::trainer
