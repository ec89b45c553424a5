// What every backend must do, as a list of small checks. Each backend's test runs all of them; data
// are exactly representable, so results are compared for equality.
#pragma once

#include <c10/core/Device.h>

#include <ostream>
#include <vector>

#include "comm/communicator.h"

namespace elbow::tests {

struct ContractCase {
  const char* name;
  // Every rank calls it, in the list's order, with the same communicator. `device`: where the
  // tensors live.
  void (*check)(comm::Communicator& ranks, at::Device device);
};
inline void PrintTo(const ContractCase& one, std::ostream* out) { *out << one.name; }

const std::vector<ContractCase>& communicator_contract();

}  // namespace elbow::tests
