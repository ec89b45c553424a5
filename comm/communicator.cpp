#include "comm/communicator.h"

#include <ATen/ops/full.h>

namespace elbow::comm {

bool Communicator::agree(bool yes) {
  auto against = at::full({1}, yes ? 0 : 1, at::kLong);
  all_reduce_max(against);
  return against.item<int64_t>() == 0;
}

}  // namespace elbow::comm
