#include "models/loops.h"

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

template <class Scalar>
inline __attribute__((always_inline)) void bernoulli_loop(const Scalar* __restrict logits,
                                                          const Scalar* __restrict x,
                                                          Scalar* __restrict nats,
                                                          Scalar* __restrict residual, int64_t rows,
                                                          int64_t columns) {
  // 16 partial sums in fixed lanes: the same order for every vector width.
  constexpr int64_t kLanes = 16;
  for (int64_t r = 0; r < rows; ++r) {
    const Scalar* a = logits + r * columns;
    const Scalar* target = x + r * columns;
    Scalar* out = residual ? residual + r * columns : nullptr;
    Scalar lane[kLanes] = {};
    int64_t c = 0;
    if (out) {
      for (; c + kLanes <= columns; c += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l) {
          const auto term = bernoulli(a[c + l], target[c + l]);
          lane[l] += term.nats;
          out[c + l] = term.residual;
        }
      }
    } else {
      for (; c + kLanes <= columns; c += kLanes) {
        for (int64_t l = 0; l < kLanes; ++l) lane[l] += bernoulli(a[c + l], target[c + l]).nats;
      }
    }
    for (int64_t l = 0; c < columns; ++c, ++l) {
      const auto term = bernoulli(a[c], target[c]);
      lane[l] += term.nats;
      if (out) out[c] = term.residual;
    }
    for (int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
    }
    nats[r] = lane[0];
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

ELBOW_SIMD void bernoulli_f(const float* logits, const float* x, float* nats, float* residual,
                            int64_t rows, int64_t columns) {
  bernoulli_loop(logits, x, nats, residual, rows, columns);
}
ELBOW_SIMD void bernoulli_d(const double* logits, const double* x, double* nats, double* residual,
                            int64_t rows, int64_t columns) {
  bernoulli_loop(logits, x, nats, residual, rows, columns);
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

template <>
void bernoulli_rows(const float* logits, const float* x, float* nats, float* residual, int64_t rows,
                    int64_t columns) {
  bernoulli_f(logits, x, nats, residual, rows, columns);
}
template <>
void bernoulli_rows(const double* logits, const double* x, double* nats, double* residual,
                    int64_t rows, int64_t columns) {
  bernoulli_d(logits, x, nats, residual, rows, columns);
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
