#include "launch/sweep/sobol.h"

#include <boost/random/sobol.hpp>

#include "models/philox.h"

namespace elbow::launch::sweep {
namespace {

constexpr uint32_t kForDraws = 0, kForShifts = 1;

uint64_t drawn_bits(uint64_t seed, uint32_t draw, int64_t index, int64_t axis) {
  const auto block = models::random_block({.seed = seed,
                                           .purpose = models::Purpose::kSearch,
                                           .time = static_cast<uint32_t>(index),
                                           .example = static_cast<uint32_t>(axis),
                                           .draw = draw},
                                          /*block=*/0);
  return (uint64_t{block.word[0]} << 32) | block.word[1];
}

// The upper 53 bits, which a double holds exactly.
double share_of(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace

std::vector<double> sobol_point(uint64_t seed, int64_t index, int64_t dimensions) {
  std::vector<uint64_t> bits(static_cast<size_t>(dimensions), 0);
  if (index > 0) {  // Boost leaves out the first point, which is 0
    boost::random::sobol engine(bits.size());
    engine.seed(static_cast<uint64_t>(index - 1));
    for (auto& coordinate : bits) coordinate = engine();
  }
  std::vector<double> point;
  for (int64_t d = 0; d < dimensions; ++d)
    point.push_back(share_of(bits[static_cast<size_t>(d)] ^ drawn_bits(seed, kForShifts, 0, d)));
  return point;
}

double drawn_share(uint64_t seed, int64_t index, int64_t axis) {
  return share_of(drawn_bits(seed, kForDraws, index, axis));
}

}  // namespace elbow::launch::sweep
