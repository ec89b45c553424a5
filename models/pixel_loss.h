// What a likelihood says of one pixel, with its derivative by the decoder's output. Plain C++: a
// kernel and the CPU use the same lines.
#pragma once

#include "models/elementwise.h"

namespace elbow::models {

enum class PixelLoss { kBernoulli, kContinuousBernoulli, kHalfSquare };

template <class Scalar>
struct PixelTerm {
  Scalar nats;
  Scalar residual;  // d nats / d output
};

// log C(a) = log(a / tanh(a / 2)), the continuous Bernoulli's normaliser, for |a| below this by its
// series in s = a^2, to 2e-11; and its slope 1 / a - 1 / sinh(a), divided by a. T: a number, or a
// tensor with double as Constant.
inline constexpr double kContinuousBernoulliSeries = 0.3;

template <class Constant, class T>
ELBOW_HOST_DEVICE T log_normaliser_series(const T& s) {
  return s * (Constant(1.0 / 12) +
              s * (Constant(-7.0 / 1440) +
                   s * (Constant(31.0 / 90720) + s * Constant(-127.0 / 4838400)))) +
         Constant(0.69314718055994530942);
}

template <class Constant, class T>
ELBOW_HOST_DEVICE T log_normaliser_slope_series(const T& s) {
  return s * (Constant(-7.0 / 360) + s * (Constant(31.0 / 15120) + s * Constant(-127.0 / 604800))) +
         Constant(1.0 / 6);
}

// Without cancellation or overflow: with e = exp(-|a|), tanh(|a| / 2) = (1 - e) / (1 + e) and
// 1 / sinh(|a|) = 2 e / (1 - e^2). Branch-free, so that it vectorises.
template <class Scalar>
ELBOW_HOST_DEVICE PixelTerm<Scalar> log_normaliser(Scalar a) {
  const bool near = std::fabs(a) < Scalar(kContinuousBernoulliSeries);
  const Scalar size = near ? Scalar(1) : std::fabs(a);
  const Scalar e = exp_of(-size);
  const Scalar far = log_of(size * (Scalar(1) + e) / (Scalar(1) - e));
  const Scalar far_slope = Scalar(1) / size - Scalar(2) * e / ((Scalar(1) - e) * (Scalar(1) + e));
  const Scalar s = a * a;
  return {near ? log_normaliser_series<Scalar>(s) : far,
          near ? a * log_normaliser_slope_series<Scalar>(s) : (a < 0 ? -far_slope : far_slope)};
}

template <PixelLoss kind, class Scalar>
ELBOW_HOST_DEVICE PixelTerm<Scalar> pixel_term(Scalar output, Scalar x) {
  if constexpr (kind == PixelLoss::kHalfSquare) {
    const Scalar difference = output - x;
    return {Scalar(0.5) * difference * difference, difference};
  } else {
    const auto cross_entropy = bernoulli(output, x);
    if constexpr (kind == PixelLoss::kBernoulli) {
      return {cross_entropy.nats, cross_entropy.residual};
    } else {
      const auto normaliser = log_normaliser(output);
      return {cross_entropy.nats - normaliser.nats, cross_entropy.residual - normaliser.residual};
    }
  }
}

}  // namespace elbow::models
