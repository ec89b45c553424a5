// Compiles a loop for AVX-512, AVX2 and plain x86-64 and picks one when the program starts. The
// bits are the same for all three. Not under AddressSanitizer, whose run-time is not up yet when
// the choice is made.
//
// ELBOW_SIMD leaves the vectors to the compiler. A loop that names its vectors is written once for
// each width instead, with ELBOW_FOR_AVX512 and ELBOW_FOR_AVX2, and best_of() chooses.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    defined(__GNUC__) && !defined(__clang__)
#define ELBOW_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define ELBOW_FOR_AVX512 __attribute__((target("arch=x86-64-v4")))
#define ELBOW_FOR_AVX2 __attribute__((target("arch=x86-64-v3")))
#define ELBOW_CPU_SUPPORTS(level) (__builtin_cpu_supports(level) != 0)
#else
#define ELBOW_SIMD
#define ELBOW_FOR_AVX512
#define ELBOW_FOR_AVX2
#define ELBOW_CPU_SUPPORTS(level) false
#endif

namespace elbow::models {

// The one of three functions that this CPU runs fastest.
template <class Function>
Function best_of(Function avx512, Function avx2, Function plain) {
  if (ELBOW_CPU_SUPPORTS("x86-64-v4")) return avx512;
  return ELBOW_CPU_SUPPORTS("x86-64-v3") ? avx2 : plain;
}

}  // namespace elbow::models
