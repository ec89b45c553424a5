#include "models/mkl.h"

#include <fmt/format.h>

#include <stdexcept>

// MKL asks this function whether to use the full set of kernels; its own answers no on CPUs that
// are not Intel's.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() { return 1; }
// mkl_cbwr_get and mkl_cbwr_set under the names that libtorch_cpu.so exports. The variable MKL_CBWR
// is not enough: MKL replaces a branch that it does not like without a word, where the function
// refuses.
extern "C" int mkl_serv_cbwr_get(int option);
extern "C" int mkl_serv_cbwr_set(int branch);

namespace elbow::models {
namespace {

constexpr int kAll = -1;
constexpr int kStrict = 0x10000;
constexpr int kAvx2 = 10 | kStrict;
constexpr int kAvx512 = 12 | kStrict;

}  // namespace

std::string mkl_branch() {
  switch (mkl_serv_cbwr_get(kAll)) {
    case kAvx512:
      return "avx512,strict";
    case kAvx2:
      return "avx2,strict";
    default:
      return "off";
  }
}

std::string best_mkl_branch() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return "avx512";
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "avx2" : "none";
}

std::string fix_mkl_branch(const std::string& branch) {
  const std::string best = best_mkl_branch();
  if (best == "none" || (branch == "avx512" && best != "avx512")) {
    throw std::runtime_error(
        fmt::format("exact mode needs the CPU's {} instructions, and this CPU has not got them: "
                    "use a machine that has, or "
                    "train.reproducible=fast",
                    branch == "avx512" ? "AVX-512" : "AVX2"));
  }
  const int status = mkl_serv_cbwr_set(branch == "avx512" ? kAvx512 : kAvx2);
  const std::string now = mkl_branch();
  if (now != branch + ",strict") {
    throw std::runtime_error(fmt::format(
        "MKL did not take the branch {} (status {}): it reports {}", branch, status, now));
  }
  return now;
}

}  // namespace elbow::models
