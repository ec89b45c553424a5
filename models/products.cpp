#include "models/products.h"

#include <ATen/ATen.h>
#include <cpuid.h>

#include "models/forms.h"
#include "models/loops.h"
#include "models/ordered_products.h"

// MKL, under the names that libtorch_cpu.so exports. Layout and transpositions are CBLAS's numbers.
extern "C" void cblas_gemm_bf16bf16f32(int layout, int transpose_a, int transpose_b, int m, int n,
                                       int k, float alpha, const uint16_t* a, int lda,
                                       const uint16_t* b, int ldb, float beta, float* c, int ldc);
// BLAS: column after column, everything by address.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta, float* c, const int* ldc);
extern "C" void dgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const double* alpha, const double* a, const int* lda,
                       const double* b, const int* ldb, const double* beta, double* c,
                       const int* ldc);

namespace elbow::models {
namespace {

constexpr int kRowMajor = 101, kAsStored = 111, kTransposed = 112;

// The matrices of a stack as BLAS takes them: line after line, or column after column. Others, such
// as one line that stands for many, are copied.
struct Stored {
  explicit Stored(const at::Tensor& given) {
    const auto lies = [&](int64_t along, int64_t across) {
      return given.stride(along) == 1 &&
             (given.size(across) == 1 || given.stride(across) >= given.size(along));
    };
    stack = lies(2, 1) || lies(1, 2) ? given : given.contiguous();
    as_is = lies(2, 1) || !lies(1, 2);
    leading = static_cast<int>(std::max<int64_t>(
        {1, as_is ? stack.stride(1) : stack.stride(2), as_is ? stack.size(2) : stack.size(1)}));
  }
  template <class Number>
  const Number* row(int64_t index) const {
    return stack.const_data_ptr<Number>() + index * stack.stride(0);
  }

  at::Tensor stack;
  bool as_is;  // line after line
  int leading;
};

void multiply_rounded(const at::Tensor& a, const at::Tensor& b, at::Tensor out) {
  if (!fused(out)) {
    out.copy_(at::bmm(a, b));
    return;
  }
  const Stored left(a), right(b);
  const auto numbers = [](const Stored& stack, int64_t row) {
    return reinterpret_cast<const uint16_t*>(stack.row<at::BFloat16>(row));
  };
  for (int64_t row = 0; row < out.size(0); ++row) {
    cblas_gemm_bf16bf16f32(
        kRowMajor, left.as_is ? kAsStored : kTransposed, right.as_is ? kAsStored : kTransposed,
        static_cast<int>(a.size(1)), static_cast<int>(b.size(2)), static_cast<int>(a.size(2)), 1.0f,
        numbers(left, row), left.leading, numbers(right, row), right.leading, 0.0f,
        out.mutable_data_ptr<float>() + row * out.stride(0), static_cast<int>(out.stride(1)));
  }
}

// BLAS counts in columns: it makes out^T = b^T a^T. Called without ATen's mm(), whose way to it
// takes longer than a small product.
template <class Scalar, class Gemm>
void multiply_with(const Gemm& gemm, const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  const Stored left(a), right(b);
  const char left_form = left.as_is ? 'n' : 't', right_form = right.as_is ? 'n' : 't';
  const int m = static_cast<int>(a.size(1));
  const int n = static_cast<int>(b.size(2)), k = static_cast<int>(a.size(2));
  const int leading = static_cast<int>(std::max<int64_t>({1, n, out.stride(1)}));
  const Scalar one = 1, zero = 0;
  for (int64_t row = 0; row < out.size(0); ++row) {
    gemm(&right_form, &left_form, &n, &m, &k, &one, right.row<Scalar>(row), &right.leading,
         left.row<Scalar>(row), &left.leading, &zero,
         out.mutable_data_ptr<Scalar>() + row * out.stride(0), &leading);
  }
}

}  // namespace

bool has_bfloat16_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && ((d >> 22) & 1u) != 0) return true;  // AMX
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && ((a >> 5) & 1u) != 0;  // AVX512-BF16
}

void round(const at::Tensor& values, at::Tensor to) {
  if (!fused(values) || values.scalar_type() != at::kFloat) {
    to.copy_(values);
    return;
  }
  loops::round_to_bfloat16(values.const_data_ptr<float>(), values.numel(),
                           reinterpret_cast<uint16_t*>(to.mutable_data_ptr<at::BFloat16>()));
}

const at::Tensor& factor_of(const BoundParameters& parameters, int weight, Precision precision) {
  return precision == Precision::kBfloat16 ? parameters.rounded(weight) : parameters.value(weight);
}

at::Tensor operand(const at::Tensor& values, const at::Tensor& weight) {
  if (values.scalar_type() == weight.scalar_type()) return values;
  auto rounded = at::empty(values.sizes(), values.options().dtype(weight.scalar_type()));
  round(values.contiguous(), rounded);
  return rounded;
}

void multiply(const at::Tensor& a, const at::Tensor& b, at::Tensor out, Rows rows) {
  const bool one_b = b.stride(0) == 0 && a.size(0) > 1 && out.size(0) == a.size(0);
  if (one_b && a.is_contiguous() && out.is_contiguous()) {
    multiply(a.flatten(0, 1).unsqueeze(0), b.narrow(0, 0, 1), out.flatten(0, 1).unsqueeze(0), rows);
  } else if (rows == Rows::kLeaves) {
    multiply_in_order(a, b, out);
  } else if (a.scalar_type() == at::kBFloat16) {
    multiply_rounded(a, b, out);
  } else if (!fused(out) && a.size(0) == 1) {  // the plain product is cheaper to start
    auto plain = out.select(0, 0);
    at::mm_out(plain, a.select(0, 0), b.select(0, 0));
  } else if (!fused(out)) {
    at::bmm_out(out, a, b);
  } else if (a.scalar_type() == at::kDouble) {
    multiply_with<double>(dgemm_, a, b, out);
  } else {
    multiply_with<float>(sgemm_, a, b, out);
  }
}

}  // namespace elbow::models
