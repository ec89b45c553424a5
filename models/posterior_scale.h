// From the encoder's pre-activation to the posterior's standard deviation and log-variance. Plain
// C++ without branches: a kernel and the CPU's vectors use the same lines.
#pragma once

#include "models/elementwise.h"

namespace elbow::models {

enum class PosteriorScale {
  kLogVariance,      // log_variance = soft_clamp(a), sigma = exp(log_variance / 2)
  kSoftplus,         // sigma = log(1 + exp(a)), with its logarithm from a where sigma is tiny
  kSoftplusSquared,  // the same, but the KL takes log(sigma^2) from sigma^2, which underflows: the
                     // KL is then infinite, as in sergeybok/variational-ae-tensorflow
};

// The clamp is the identity, to the last bit, on [kClampBendLow, kClampBendHigh]; beyond that it
// bends towards -20 and 10 without ever losing its slope.
inline constexpr double kClampBendLow = -18, kClampBendHigh = 8, kClampBendWidth = 2;

// What one unit's pre-activation a means.
template <class Scalar>
struct PosteriorTerm {
  Scalar sigma;
  Scalar log_variance;  // as the KL sees it
  Scalar slope;         // d log_variance / da
};

// h + w u / (1 + u) with u = (a - h) / w beyond the bend h, and its mirror image below.
template <class Scalar>
ELBOW_HOST_DEVICE PosteriorTerm<Scalar> clamped_log_variance_term(Scalar a) {
  const Scalar width = static_cast<Scalar>(kClampBendWidth);
  const Scalar high = static_cast<Scalar>(kClampBendHigh);
  const Scalar low = static_cast<Scalar>(kClampBendLow);
  const Scalar beyond = a > high ? a - high : (a < low ? low - a : Scalar(0));
  const Scalar u = beyond / width;
  const Scalar bend = width * u / (1 + u);
  const Scalar log_variance = a > high ? high + bend : (a < low ? low - bend : a);
  return {exp_of(Scalar(0.5) * log_variance), log_variance, 1 / ((1 + u) * (1 + u))};
}

// Below -15, with e = exp(a): sigma = e (1 - e / 2 + ...), so log sigma = a - e / 2 and
// d log sigma / da = 1 - e / 2, each right to 5 e^2 / 24.
template <class Scalar>
ELBOW_HOST_DEVICE PosteriorTerm<Scalar> softplus_term(Scalar a) {
  const bool tiny = a < Scalar(-15);
  const Scalar sigma = softplus_of(a);
  const Scalar half = Scalar(0.5) * exp_of(a);
  return {sigma, 2 * (tiny ? a - half : log_of(sigma)),
          2 * (tiny ? 1 - half : sigmoid_of(a) / sigma)};
}

template <PosteriorScale kind, class Scalar>
ELBOW_HOST_DEVICE PosteriorTerm<Scalar> posterior_term(Scalar a) {
  if constexpr (kind == PosteriorScale::kLogVariance) return clamped_log_variance_term(a);
  auto term = softplus_term(a);
  if constexpr (kind == PosteriorScale::kSoftplusSquared) {
    const bool gone = term.sigma * term.sigma < std::numeric_limits<Scalar>::min();
    term.log_variance = gone ? -std::numeric_limits<Scalar>::infinity() : term.log_variance;
  }
  return term;
}

}  // namespace elbow::models
