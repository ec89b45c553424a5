#include "models/products.h"

#include <ATen/ATen.h>
#include <cpuid.h>

#include "models/forms.h"

// MKL, under the name that libtorch_cpu.so exports. Layout and transpositions are CBLAS's numbers.
extern "C" void cblas_gemm_bf16bf16f32(int layout, int transpose_a, int transpose_b, int m, int n,
                                       int k, float alpha, const uint16_t* a, int lda,
                                       const uint16_t* b, int ldb, float beta, float* c, int ldc);

namespace elbow::models {
namespace {

constexpr int kRowMajor = 101, kAsStored = 111, kTransposed = 112;

// A matrix as CBLAS takes it.
struct Stored {
  int transpose;
  int leading;
  const uint16_t* numbers;
};

Stored stored(const at::Tensor& matrix) {
  const auto* numbers = reinterpret_cast<const uint16_t*>(matrix.const_data_ptr<at::BFloat16>());
  const bool as_is = matrix.stride(1) == 1;
  return {as_is ? kAsStored : kTransposed,
          static_cast<int>(std::max<int64_t>(as_is ? matrix.stride(0) : matrix.stride(1), 1)),
          numbers};
}

void multiply_rounded(const at::Tensor& a, const at::Tensor& b, at::Tensor out) {
  if (!fused(out)) {
    out.copy_(at::bmm(a, b));
    return;
  }
  for (int64_t row = 0; row < out.size(0); ++row) {
    const auto left = stored(a.select(0, row)), right = stored(b.select(0, row));
    auto target = out.select(0, row);
    cblas_gemm_bf16bf16f32(kRowMajor, left.transpose, right.transpose, static_cast<int>(a.size(1)),
                           static_cast<int>(b.size(2)), static_cast<int>(a.size(2)), 1.0f,
                           left.numbers, left.leading, right.numbers, right.leading, 0.0f,
                           target.mutable_data_ptr<float>(), static_cast<int>(target.stride(0)));
  }
}

}  // namespace

bool has_bfloat16_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && ((d >> 22) & 1u) != 0) return true;  // AMX
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && ((a >> 5) & 1u) != 0;  // AVX512-BF16
}

// A single pair goes through the plain product, which is cheaper to start; so do pairs whose
// results do not lie side by side.
void multiply(const at::Tensor& a, const at::Tensor& b, at::Tensor out) {
  if (a.scalar_type() == at::kBFloat16) {
    multiply_rounded(a, b, out);
  } else if (b.stride(0) == 0 && a.is_contiguous() && out.is_contiguous()) {
    auto lines = out.flatten(0, 1);
    at::mm_out(lines, a.flatten(0, 1), b.select(0, 0));
  } else if (a.size(0) == 1 || (fused(out) && !out.is_contiguous())) {
    for (int64_t row = 0; row < a.size(0); ++row) {
      auto plain = out.select(0, row);
      at::mm_out(plain, a.select(0, row), b.select(0, row));
    }
  } else {
    at::bmm_out(out, a, b);
  }
}

}  // namespace elbow::models
