#include "models/loops.h"

#include <algorithm>
#include <bit>

#include "models/simd.h"

namespace elbow::models::loops {
namespace {

// The compiler clones plain functions only, so each template gets one named function per type and
// activation.
template <Activation kind, class Scalar>
inline __attribute__((always_inline)) void bias_loop(Scalar* y, const Scalar* bias, int64_t rows,
                                                     int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    Scalar* line = y + r * columns;
    for (int64_t c = 0; c < columns; ++c) line[c] = activate<kind>(line[c] + bias[c]);
  }
}

template <Activation kind, class Scalar>
inline __attribute__((always_inline)) void backward_loop(const Scalar* __restrict dy,
                                                         const Scalar* __restrict y, Scalar* da,
                                                         Scalar* __restrict dbias, int64_t rows,
                                                         int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) dbias[c] = Scalar(0);
  for (int64_t r = 0; r < rows; ++r) {
    const Scalar* dy_line = dy + r * columns;
    Scalar* da_line = da + r * columns;
    if constexpr (kind == Activation::kIdentity) {
      for (int64_t c = 0; c < columns; ++c) dbias[c] += dy_line[c];
    } else {
      const Scalar* y_line = y + r * columns;
#pragma GCC ivdep
      for (int64_t c = 0; c < columns; ++c) {
        const Scalar value = dy_line[c] * activation_slope<kind>(y_line[c]);
        da_line[c] = value;
        dbias[c] += value;
      }
    }
  }
}

template <PixelLoss kind, class Scalar>
inline __attribute__((always_inline)) void pixel_loop(const Scalar* __restrict output,
                                                      const Scalar* __restrict x,
                                                      Scalar* __restrict nats,
                                                      Scalar* __restrict residual,
                                                      const PixelRows& shape) {
  // 16 partial sums in fixed lanes: the same order for every vector width.
  constexpr int64_t kLanes = 16;
  const int64_t rows = shape.rows, columns = shape.columns, samples = shape.samples;
  for (int64_t r = 0; r < rows; ++r) {
    const Scalar* a = output + r * columns;
    const Scalar* target = x + r / samples * columns;
    Scalar* out = residual ? residual + r * columns : nullptr;
    Scalar lane[kLanes] = {};
    int64_t c = 0;
    if (out) {
      for (; c + kLanes <= columns; c += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l) {
          const auto term = pixel_term<kind>(a[c + l], target[c + l]);
          lane[l] += term.nats;
          out[c + l] = term.residual;
        }
      }
    } else {
      for (; c + kLanes <= columns; c += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l)
          lane[l] += pixel_term<kind>(a[c + l], target[c + l]).nats;
      }
    }
    for (int64_t l = 0; c < columns; ++c, ++l) {
      const auto term = pixel_term<kind>(a[c], target[c]);
      lane[l] += term.nats;
      if (out) out[c] = term.residual;
    }
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
    }
    nats[r] = lane[0];
  }
}

template <PosteriorScale kind, class Scalar>
inline __attribute__((always_inline)) void units_loop(const PosteriorUnits<Scalar>& units,
                                                      int64_t count) {
  const auto [mean, pre_activation, sigma, log_variance, slope, excess, kl] = units;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const auto term = posterior_term<kind>(pre_activation[i]);
    sigma[i] = term.sigma;
    log_variance[i] = term.log_variance;
    slope[i] = term.slope;
    excess[i] = expm1_of(term.log_variance);
    kl[i] = kl_to_standard_normal(mean[i], term.log_variance);
  }
}

#define ELBOW_BIAS_LOOP(name, kind, Scalar)                                            \
  ELBOW_SIMD void name(Scalar* y, const Scalar* bias, int64_t rows, int64_t columns) { \
    bias_loop<kind>(y, bias, rows, columns);                                           \
  }
#define ELBOW_BACKWARD_LOOP(name, kind, Scalar)                                                    \
  ELBOW_SIMD void name(const Scalar* dy, const Scalar* y, Scalar* da, Scalar* dbias, int64_t rows, \
                       int64_t columns) {                                                          \
    backward_loop<kind>(dy, y, da, dbias, rows, columns);                                          \
  }
#define ELBOW_ACTIVATION_LOOPS(kind, suffix)                          \
  ELBOW_BIAS_LOOP(bias_##suffix##_f, Activation::kind, float)         \
  ELBOW_BIAS_LOOP(bias_##suffix##_d, Activation::kind, double)        \
  ELBOW_BACKWARD_LOOP(backward_##suffix##_f, Activation::kind, float) \
  ELBOW_BACKWARD_LOOP(backward_##suffix##_d, Activation::kind, double)

ELBOW_ACTIVATION_LOOPS(kIdentity, identity)
ELBOW_ACTIVATION_LOOPS(kTanh, tanh)
ELBOW_ACTIVATION_LOOPS(kRelu, relu)
ELBOW_ACTIVATION_LOOPS(kSigmoid, sigmoid)
ELBOW_ACTIVATION_LOOPS(kSoftplus, softplus)

#define ELBOW_PIXEL_LOOP(name, kind, Scalar)                                                  \
  ELBOW_SIMD void name(const Scalar* output, const Scalar* x, Scalar* nats, Scalar* residual, \
                       const PixelRows& shape) {                                              \
    pixel_loop<kind>(output, x, nats, residual, shape);                                       \
  }
#define ELBOW_PIXEL_LOOPS(kind, suffix)                        \
  ELBOW_PIXEL_LOOP(pixel_##suffix##_f, PixelLoss::kind, float) \
  ELBOW_PIXEL_LOOP(pixel_##suffix##_d, PixelLoss::kind, double)

ELBOW_PIXEL_LOOPS(kBernoulli, bernoulli)
ELBOW_PIXEL_LOOPS(kContinuousBernoulli, continuous_bernoulli)
ELBOW_PIXEL_LOOPS(kHalfSquare, half_square)

#define ELBOW_UNITS_LOOP(name, kind, Scalar)                                 \
  ELBOW_SIMD void name(const PosteriorUnits<Scalar>& units, int64_t count) { \
    units_loop<kind>(units, count);                                          \
  }
#define ELBOW_UNITS_LOOPS(kind, suffix)                             \
  ELBOW_UNITS_LOOP(units_##suffix##_f, PosteriorScale::kind, float) \
  ELBOW_UNITS_LOOP(units_##suffix##_d, PosteriorScale::kind, double)

ELBOW_UNITS_LOOPS(kLogVariance, log_variance)
ELBOW_UNITS_LOOPS(kSoftplus, softplus)
ELBOW_UNITS_LOOPS(kSoftplusSquared, softplus_squared)

// Without the sign, numbers are in the order of their bits, and NaN is above infinity.
ELBOW_SIMD uint32_t largest_bits(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7FFFFFFFu);
  return largest;
}

ELBOW_SIMD void scale_f(const float* __restrict in, const float* scale, float* out, int64_t rows,
                        int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[r * columns + c] = scale[r] * in[r * columns + c];
  }
}

template <class Scalar>
using BiasLoop = void (*)(Scalar*, const Scalar*, int64_t, int64_t);
template <class Scalar>
using BackwardLoop = void (*)(const Scalar*, const Scalar*, Scalar*, Scalar*, int64_t, int64_t);

// In the order of Activation.
template <class Scalar>
constexpr BiasLoop<Scalar> kBiasLoops[5] = {};
template <>
constexpr BiasLoop<float> kBiasLoops<float>[5] = {bias_identity_f, bias_tanh_f, bias_relu_f,
                                                  bias_sigmoid_f, bias_softplus_f};
template <>
constexpr BiasLoop<double> kBiasLoops<double>[5] = {bias_identity_d, bias_tanh_d, bias_relu_d,
                                                    bias_sigmoid_d, bias_softplus_d};
template <class Scalar>
constexpr BackwardLoop<Scalar> kBackwardLoops[5] = {};
template <>
constexpr BackwardLoop<float> kBackwardLoops<float>[5] = {
    backward_identity_f, backward_tanh_f, backward_relu_f, backward_sigmoid_f, backward_softplus_f};
template <>
constexpr BackwardLoop<double> kBackwardLoops<double>[5] = {
    backward_identity_d, backward_tanh_d, backward_relu_d, backward_sigmoid_d, backward_softplus_d};

template <class Scalar>
using PixelLoop = void (*)(const Scalar*, const Scalar*, Scalar*, Scalar*, const PixelRows&);

// In the order of PixelLoss.
template <class Scalar>
constexpr PixelLoop<Scalar> kPixelLoops[3] = {};
template <>
constexpr PixelLoop<float> kPixelLoops<float>[3] = {pixel_bernoulli_f, pixel_continuous_bernoulli_f,
                                                    pixel_half_square_f};
template <>
constexpr PixelLoop<double> kPixelLoops<double>[3] = {
    pixel_bernoulli_d, pixel_continuous_bernoulli_d, pixel_half_square_d};

template <class Scalar>
using UnitsLoop = void (*)(const PosteriorUnits<Scalar>&, int64_t);

// In the order of PosteriorScale.
template <class Scalar>
constexpr UnitsLoop<Scalar> kUnitsLoops[3] = {};
template <>
constexpr UnitsLoop<float> kUnitsLoops<float>[3] = {units_log_variance_f, units_softplus_f,
                                                    units_softplus_squared_f};
template <>
constexpr UnitsLoop<double> kUnitsLoops<double>[3] = {units_log_variance_d, units_softplus_d,
                                                      units_softplus_squared_d};

}  // namespace

template <class Scalar>
void add_bias_and_activate(Scalar* y, const Scalar* bias, int64_t rows, int64_t columns,
                           Activation kind) {
  kBiasLoops<Scalar>[static_cast<int>(kind)](y, bias, rows, columns);
}
template void add_bias_and_activate(float*, const float*, int64_t, int64_t, Activation);
template void add_bias_and_activate(double*, const double*, int64_t, int64_t, Activation);

template <class Scalar>
void activation_backward(const Scalar* dy, const Scalar* y, Scalar* da, Scalar* dbias, int64_t rows,
                         int64_t columns, Activation kind) {
  kBackwardLoops<Scalar>[static_cast<int>(kind)](dy, y, da, dbias, rows, columns);
}
template void activation_backward(const float*, const float*, float*, float*, int64_t, int64_t,
                                  Activation);
template void activation_backward(const double*, const double*, double*, double*, int64_t, int64_t,
                                  Activation);

template <class Scalar>
void pixel_loss_rows(PixelLoss kind, const Scalar* output, const Scalar* x, Scalar* nats,
                     Scalar* residual, const PixelRows& shape) {
  kPixelLoops<Scalar>[static_cast<int>(kind)](output, x, nats, residual, shape);
}
template void pixel_loss_rows(PixelLoss, const float*, const float*, float*, float*,
                              const PixelRows&);
template void pixel_loss_rows(PixelLoss, const double*, const double*, double*, double*,
                              const PixelRows&);

template <class Scalar>
void posterior_units(PosteriorScale kind, const PosteriorUnits<Scalar>& units, int64_t count) {
  kUnitsLoops<Scalar>[static_cast<int>(kind)](units, count);
}
template void posterior_units(PosteriorScale, const PosteriorUnits<float>&, int64_t);
template void posterior_units(PosteriorScale, const PosteriorUnits<double>&, int64_t);

float largest_magnitude(const float* values, int64_t count) {
  return std::bit_cast<float>(largest_bits(values, count));
}

template <>
void scale_rows(const float* in, const float* scale, float* out, int64_t rows, int64_t columns) {
  scale_f(in, scale, out, rows, columns);
}
template <>
void scale_rows(const double* in, const double* scale, double* out, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[r * columns + c] = scale[r] * in[r * columns + c];
  }
}

}  // namespace elbow::models::loops
