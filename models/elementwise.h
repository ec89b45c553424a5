// What a kernel computes per element: plain scalar functions that g++ and NVRTC compile alike.
//
// float: branch-free polynomials that vectorise, within 3 ulp of the true value over the ranges
// that matter, and the same bits for any vector width because no product is contracted into an add
// (-ffp-contract=off). double: the C library, for the tests that compare with finite differences.
// NaN in, NaN out; exp overflows to infinity.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "models/philox.h"

namespace elbow::models {

ELBOW_HOST_DEVICE float exp_of(float x) {
  // Cephes expf: x = n ln 2 + r, |r| <= ln 2 / 2.
  const float bounded = x < -87.0f ? -87.0f : (x > 88.5f ? 88.5f : x);
  const float shifted = bounded * 1.44269504088896341f + 12582912.0f;  // rounds to nearest
  const float n = shifted - 12582912.0f;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - 0x4B400000 + 127;
  const float value = p * std::bit_cast<float>(exponent << 23);
  return x > 88.5f ? std::numeric_limits<float>::infinity() : value;
}

// log(1 + e) for e in [0, 1]: 2 atanh(s), s = e / (2 + e) <= 1/3, relative accuracy also for tiny
// e.
ELBOW_HOST_DEVICE float log1p_from_ratio(float s) {
  const float q = s * s;
  float p = 0.116268937f;
  p = p * q + 0.108500202f;
  p = p * q + 0.142964054f;
  p = p * q + 0.199998482f;
  p = p * q + 0.333333337f;
  return 2.0f * (s + s * q * p);
}
ELBOW_HOST_DEVICE float log1p_unit(float e) { return log1p_from_ratio(e / (2.0f + e)); }

// log(x) for finite x > 0 that is not subnormal.
ELBOW_HOST_DEVICE float log_of(float x) {
  const int32_t bits = std::bit_cast<int32_t>(x);
  const int32_t exponent = (bits - 0x3F3504F3) >> 23;  // mantissa in [sqrt(1/2), sqrt(2))
  const float m = std::bit_cast<float>(bits - exponent * (1 << 23));
  const float s = (m - 1.0f) / (m + 1.0f);
  const float q = s * s;
  float p = 0.233323736f;
  p = p * q + 0.285507375f;
  p = p * q + 0.400001227f;
  p = p * q + 0.666666666f;
  return static_cast<float>(exponent) * 0.693147180559945f + (2.0f * s + s * q * p);
}

ELBOW_HOST_DEVICE float expm1_of(float x) {
  // Near 0 the Taylor polynomial, so that the KL of a collapsed unit does not cancel.
  const float t =
      x * (1.0f + x * (0.5f + x * (1.6666667e-1f +
                                   x * (4.1666668e-2f + x * (8.3333337e-3f + x * 1.3888889e-3f)))));
  return std::fabs(x) < 0.25f ? t : exp_of(x) - 1.0f;
}

ELBOW_HOST_DEVICE float sigmoid_of(float x) {
  const float e = exp_of(-std::fabs(x));
  const float r = 1.0f / (1.0f + e);
  return x >= 0.0f ? r : e * r;
}

ELBOW_HOST_DEVICE float softplus_of(float x) {
  return (x > 0.0f ? x : 0.0f) + log1p_unit(exp_of(-std::fabs(x)));
}

ELBOW_HOST_DEVICE float tanh_of(float x) {
  const float q = x * x;  // Cephes tanhf below 0.625
  float p = -5.70498872745e-3f;
  p = p * q + 2.06390887954e-2f;
  p = p * q - 5.37397155531e-2f;
  p = p * q + 1.33314422036e-1f;
  p = p * q - 3.33332819422e-1f;
  const float small = x + x * q * p;
  const float e = exp_of(-2.0f * std::fabs(x));
  const float large = (1.0f - e) / (1.0f + e);
  return std::fabs(x) < 0.625f ? small : (x < 0.0f ? -large : large);
}

ELBOW_HOST_DEVICE double exp_of(double x) { return std::exp(x); }
ELBOW_HOST_DEVICE double log1p_unit(double e) { return std::log1p(e); }
ELBOW_HOST_DEVICE double log_of(double x) { return std::log(x); }
ELBOW_HOST_DEVICE double expm1_of(double x) { return std::expm1(x); }
ELBOW_HOST_DEVICE double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }
ELBOW_HOST_DEVICE double softplus_of(double x) {
  return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}
ELBOW_HOST_DEVICE double tanh_of(double x) { return std::tanh(x); }

// --- activations
// -----------------------------------------------------------------------------------------------------

enum class Activation { kIdentity, kTanh, kRelu, kSigmoid, kSoftplus };

template <Activation kind, class Scalar>
ELBOW_HOST_DEVICE Scalar activate(Scalar a) {
  if constexpr (kind == Activation::kTanh) return tanh_of(a);
  if constexpr (kind == Activation::kRelu)
    return a > Scalar(0) ? a : a * Scalar(0);  // NaN stays NaN
  if constexpr (kind == Activation::kSigmoid) return sigmoid_of(a);
  if constexpr (kind == Activation::kSoftplus) return softplus_of(a);
  return a;
}

// d activate(a) / da as a function of y = activate(a), so that only y has to be kept.
template <Activation kind, class Scalar>
ELBOW_HOST_DEVICE Scalar activation_slope(Scalar y) {
  if constexpr (kind == Activation::kTanh) return Scalar(1) - y * y;
  if constexpr (kind == Activation::kRelu) return y > Scalar(0) ? Scalar(1) : Scalar(0);
  if constexpr (kind == Activation::kSigmoid) return y * (Scalar(1) - y);
  if constexpr (kind == Activation::kSoftplus) return -expm1_of(-y);
  return Scalar(1);
}

// --- Bernoulli likelihood from a logit
// -------------------------------------------------------------------------------

template <class Scalar>
struct BernoulliTerm {
  Scalar nats;      // -x log p - (1 - x) log(1 - p), p = sigmoid(a)
  Scalar residual;  // its derivative by a: p - x
};

ELBOW_HOST_DEVICE BernoulliTerm<float> bernoulli(float a, float x) {
  const float e = exp_of(-std::fabs(a));
  const float one = 1.0f + e;
  const float two = 2.0f + e;
  const float inverse = 1.0f / (one * two);  // one division serves both quotients
  const float p_of_abs = two * inverse;
  const float p = a >= 0.0f ? p_of_abs : e * p_of_abs;
  return {(a > 0.0f ? a : 0.0f) - a * x + log1p_from_ratio(e * one * inverse), p - x};
}
ELBOW_HOST_DEVICE BernoulliTerm<double> bernoulli(double a, double x) {
  return {softplus_of(a) - a * x, sigmoid_of(a) - x};
}

// --- Gaussian posterior
// ----------------------------------------------------------------------------------------------

// KL(N(mean, exp(log_variance)) || N(0, 1)) in nats; Kingma & Welling 2014, appendix B, in the form
// that does not cancel near log_variance = 0.
template <class Scalar>
ELBOW_HOST_DEVICE Scalar kl_to_standard_normal(Scalar mean, Scalar log_variance) {
  return Scalar(0.5) * (mean * mean + (expm1_of(log_variance) - log_variance));
}

// --- standard normal numbers
// -----------------------------------------------------------------------------------------

struct NormalPair {
  float first, second;
};

// Box & Muller 1958: sqrt(-2 ln u1) (cos, sin)(2 pi u2).
ELBOW_HOST_DEVICE NormalPair normal_pair(uint32_t word0, uint32_t word1) {
  const float radius = std::sqrt(-2.0f * log_of(uniform_open(word0)));
  // 2 pi u2 = quarter * pi/2 + angle, angle in [-pi/4, pi/4)
  const float turns = 4.0f * uniform_open(word1);
  const float shifted = turns + 12582912.0f;
  const int32_t quarter = std::bit_cast<int32_t>(shifted) - 0x4B400000;
  const float t = (turns - (shifted - 12582912.0f)) * 1.5707963267948966f;
  const float q = t * t;
  const float sine =
      t + t * q * (-1.6666654611e-1f + q * (8.3321608736e-3f - q * 1.9515295891e-4f));
  const float cosine =
      1.0f - 0.5f * q +
      q * q * (4.166664568298827e-2f + q * (-1.388731625493765e-3f + q * 2.443315711809948e-5f));
  const float c = (quarter & 1) ? sine : cosine;
  const float s = (quarter & 1) ? cosine : sine;
  const bool negate_c = ((quarter + 1) & 2) != 0;
  const bool negate_s = (quarter & 2) != 0;
  return {radius * (negate_c ? -c : c), radius * (negate_s ? -s : s)};
}

}  // namespace elbow::models
