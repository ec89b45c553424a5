#include "models/mkl.h"

#include <fmt/format.h>

#include <stdexcept>

// MKL asks this function whether to use the full set of kernels; its own answers no on CPUs that are not Intel's.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() { return 1; }
// mkl_cbwr_get and mkl_cbwr_set under the names that libtorch_cpu.so exports. The variable MKL_CBWR is not enough: MKL replaces a
// branch that it does not like without a word, where the function refuses.
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
    case kAvx512: return "avx512,strict";
    case kAvx2: return "avx2,strict";
    default: return "off";
  }
}

std::string fix_mkl_branch(const std::string& branch) {
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const std::string wanted = branch == "auto" ? (has_avx512 ? "avx512" : "avx2") : branch;
  if ((wanted == "avx512" && !has_avx512) || (wanted == "avx2" && !has_avx2)) {
    throw std::runtime_error(fmt::format(
        "exact mode needs the {} instructions, which this CPU lacks: use a machine that has them, or train.reproducible=fast",
        wanted));
  }
  const int status = mkl_serv_cbwr_set(wanted == "avx512" ? kAvx512 : kAvx2);
  const std::string now = mkl_branch();
  if (now != wanted + ",strict") {
    throw std::runtime_error(fmt::format("MKL did not take the branch {} (status {}): it reports {}", wanted, status, now));
  }
  return now;
}

}  // namespace elbow::models
