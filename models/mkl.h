// How MKL, which LibTorch brings, multiplies matrices in this process. Linking this file makes MKL
// choose its kernels by the CPU's real features instead of by its maker.
#pragma once

#include <string>

namespace elbow::models {

// The best of "avx512" and "avx2" that this CPU has; "none" where it has neither.
std::string best_mkl_branch();

// Fixes MKL's branch, so that a product has the same bits for any thread count, row split and
// batched form. To be called before MKL's first product in the process: MKL reads the setting once.
//   branch: "avx512" or "avx2". Returns the branch in force.
//   Throws std::runtime_error where this CPU lacks the branch, or MKL did not take it because it
//   was used before.
std::string fix_mkl_branch(const std::string& branch);

// The branch that MKL reports now: "avx512,strict", "avx2,strict", or "off".
std::string mkl_branch();

}  // namespace elbow::models
