#include "models/loops.h"

#include <algorithm>
#include <bit>

#include "models/simd.h"

namespace elbow::models::loops {
namespace {

// The compiler clones plain functions only: these are inlined into ELBOW_LOOPS below.
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
inline __attribute__((always_inline)) void pixel_loop(
    const Scalar* __restrict output, const Scalar* __restrict x, Scalar* __restrict nats,
    Scalar* __restrict residual, const Scalar* __restrict scale, const PixelRows& shape) {
  // 16 partial sums in fixed lanes: the same order for every vector width.
  constexpr int64_t kLanes = 16;
  const int64_t rows = shape.rows, columns = shape.columns, samples = shape.samples;
  for (int64_t r = 0; r < rows; ++r) {
    const Scalar* a = output + r * columns;
    const Scalar* target = x + r / samples * columns;
    Scalar* out = residual ? residual + r * columns : nullptr;
    const Scalar of_residual = scale ? scale[r] : Scalar(1);
    Scalar lane[kLanes] = {};
    int64_t c = 0;
    if (out) {
      for (; c + kLanes <= columns; c += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l) {
          const auto term = pixel_term<kind>(a[c + l], target[c + l]);
          lane[l] += term.nats;
          out[c + l] = of_residual * term.residual;
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
      if (out) out[c] = of_residual * term.residual;
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

// Runs the loop with the kind as a constant.
#define ELBOW_OF_ACTIVATION(loop, kind, ...)           \
  switch (kind) {                                      \
    case Activation::kIdentity:                        \
      return loop<Activation::kIdentity>(__VA_ARGS__); \
    case Activation::kTanh:                            \
      return loop<Activation::kTanh>(__VA_ARGS__);     \
    case Activation::kRelu:                            \
      return loop<Activation::kRelu>(__VA_ARGS__);     \
    case Activation::kSigmoid:                         \
      return loop<Activation::kSigmoid>(__VA_ARGS__);  \
    case Activation::kSoftplus:                        \
      return loop<Activation::kSoftplus>(__VA_ARGS__); \
  }

// Every loop for one type: the functions that the compiler clones.
#define ELBOW_LOOPS(Scalar)                                                                   \
  ELBOW_SIMD void add_bias(Scalar* y, const Scalar* bias, int64_t rows, int64_t columns,      \
                           Activation kind) {                                                 \
    ELBOW_OF_ACTIVATION(bias_loop, kind, y, bias, rows, columns);                             \
  }                                                                                           \
  ELBOW_SIMD void backward(const Scalar* dy, const Scalar* y, Scalar* da, Scalar* dbias,      \
                           int64_t rows, int64_t columns, Activation kind) {                  \
    ELBOW_OF_ACTIVATION(backward_loop, kind, dy, y, da, dbias, rows, columns);                \
  }                                                                                           \
  ELBOW_SIMD void pixels(PixelLoss kind, const Scalar* output, const Scalar* x, Scalar* nats, \
                         Scalar* residual, const Scalar* scale, const PixelRows& shape) {     \
    switch (kind) {                                                                           \
      case PixelLoss::kBernoulli:                                                             \
        return pixel_loop<PixelLoss::kBernoulli>(output, x, nats, residual, scale, shape);    \
      case PixelLoss::kContinuousBernoulli:                                                   \
        return pixel_loop<PixelLoss::kContinuousBernoulli>(output, x, nats, residual, scale,  \
                                                           shape);                            \
      case PixelLoss::kHalfSquare:                                                            \
        return pixel_loop<PixelLoss::kHalfSquare>(output, x, nats, residual, scale, shape);   \
    }                                                                                         \
  }                                                                                           \
  ELBOW_SIMD void latent_units(PosteriorScale kind, const PosteriorUnits<Scalar>& units,      \
                               int64_t count) {                                               \
    switch (kind) {                                                                           \
      case PosteriorScale::kLogVariance:                                                      \
        return units_loop<PosteriorScale::kLogVariance>(units, count);                        \
      case PosteriorScale::kSoftplus:                                                         \
        return units_loop<PosteriorScale::kSoftplus>(units, count);                           \
      case PosteriorScale::kSoftplusSquared:                                                  \
        return units_loop<PosteriorScale::kSoftplusSquared>(units, count);                    \
    }                                                                                         \
  }

ELBOW_LOOPS(float)
ELBOW_LOOPS(double)

// Without the sign, numbers are in the order of their bits, and NaN is above infinity.
ELBOW_SIMD uint32_t largest_bits(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7FFFFFFFu);
  return largest;
}

ELBOW_SIMD uint16_t largest_bits(const uint16_t* values, int64_t count) {
  uint16_t largest = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, static_cast<uint16_t>(values[i] & 0x7FFFu));
  return largest;
}

// bfloat16's bits are the upper half of float32's.
ELBOW_SIMD void rounded_bits(const float* __restrict values, int64_t count,
                             uint16_t* __restrict to) {
  constexpr uint16_t kNan = 0x7FC0;
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(values[i]);
    const uint32_t up = 0x7FFFu + ((bits >> 16) & 1u);
    to[i] = values[i] != values[i] ? kNan : static_cast<uint16_t>((bits + up) >> 16);
  }
}

ELBOW_SIMD void scale_f(const float* __restrict in, const float* scale, float* out, int64_t rows,
                        int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[r * columns + c] = scale[r] * in[r * columns + c];
  }
}

}  // namespace

template <class Scalar>
void add_bias_and_activate(Scalar* y, const Scalar* bias, int64_t rows, int64_t columns,
                           Activation kind) {
  add_bias(y, bias, rows, columns, kind);
}
template void add_bias_and_activate(float*, const float*, int64_t, int64_t, Activation);
template void add_bias_and_activate(double*, const double*, int64_t, int64_t, Activation);

template <class Scalar>
void activation_backward(const Scalar* dy, const Scalar* y, Scalar* da, Scalar* dbias, int64_t rows,
                         int64_t columns, Activation kind) {
  backward(dy, y, da, dbias, rows, columns, kind);
}
template void activation_backward(const float*, const float*, float*, float*, int64_t, int64_t,
                                  Activation);
template void activation_backward(const double*, const double*, double*, double*, int64_t, int64_t,
                                  Activation);

template <class Scalar>
void pixel_loss_rows(PixelLoss kind, const Scalar* output, const Scalar* x, Scalar* nats,
                     Scalar* residual, const Scalar* scale, const PixelRows& shape) {
  pixels(kind, output, x, nats, residual, scale, shape);
}
template void pixel_loss_rows(PixelLoss, const float*, const float*, float*, float*, const float*,
                              const PixelRows&);
template void pixel_loss_rows(PixelLoss, const double*, const double*, double*, double*,
                              const double*, const PixelRows&);

template <class Scalar>
void posterior_units(PosteriorScale kind, const PosteriorUnits<Scalar>& units, int64_t count) {
  latent_units(kind, units, count);
}
template void posterior_units(PosteriorScale, const PosteriorUnits<float>&, int64_t);
template void posterior_units(PosteriorScale, const PosteriorUnits<double>&, int64_t);

float largest_magnitude(const float* values, int64_t count) {
  return std::bit_cast<float>(largest_bits(values, count));
}
float largest_magnitude_bfloat16(const uint16_t* values, int64_t count) {
  return std::bit_cast<float>(uint32_t{largest_bits(values, count)} << 16);
}

void round_to_bfloat16(const float* values, int64_t count, uint16_t* to) {
  rounded_bits(values, count, to);
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
