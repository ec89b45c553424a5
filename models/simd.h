// Compiles a loop for AVX-512, AVX2 and plain x86-64 and picks one when the program starts. The
// bits are the same for all three. Not under AddressSanitizer, whose run-time is not up yet when
// the choice is made.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    defined(__GNUC__) && !defined(__clang__)
#define ELBOW_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ELBOW_SIMD
#endif
