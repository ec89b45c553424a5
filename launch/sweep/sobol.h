// Sobol's sequence with the directions of Joe and Kuo 2008 ("Constructing Sobol sequences with
// better two-dimensional projections", SIAM J. Sci. Comput. 30), as Boost has them, each coordinate
// shifted digitally (exclusive or) by a number of the seed. A shift keeps what makes the sequence
// even: any 2^k points that begin at a multiple of 2^k have one point in each of 2^k equal parts of
// every axis. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace elbow::launch::sweep {

inline constexpr int64_t kMostSobolDimensions = 3667;

// Point `index` (from 0) in [0, 1)^dimensions.
std::vector<double> sobol_point(uint64_t seed, int64_t index, int64_t dimensions);

// A number in [0, 1) that follows from its arguments alone (Philox, purpose kSearch), 53 bits.
double drawn_share(uint64_t seed, int64_t index, int64_t axis);

}  // namespace elbow::launch::sweep
