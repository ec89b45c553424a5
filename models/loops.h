// Element loops of the CPU path, compiled for each instruction set (simd.h). Sums are taken in one
// fixed order, so that an instruction set or a thread count never moves a bit. Templates exist for
// float and double.
//
// All pointers are to contiguous memory of the stated shape; nothing is allocated.
#pragma once

#include <cstdint>

#include "models/elementwise.h"
#include "models/pixel_loss.h"
#include "models/posterior_scale.h"

namespace elbow::models::loops {

// y[r, c] = activation(y[r, c] + bias[c])                       y: [rows, columns]
template <class Scalar>
void add_bias_and_activate(Scalar* y, const Scalar* bias, int64_t rows, int64_t columns,
                           Activation kind);

// da[r, c] = dy[r, c] * slope(y[r, c]); dbias[c] = sum_r da[r, c], rows in ascending order. da may
// be dy.
template <class Scalar>
void activation_backward(const Scalar* dy, const Scalar* y, Scalar* da, Scalar* dbias, int64_t rows,
                         int64_t columns, Activation kind);

struct PixelRows {
  int64_t rows;
  int64_t columns;
  int64_t samples;  // rows of output that share a row of x
};

// nats[r] = sum_c pixel_term(output[r, c], x[r / samples, c]).nats; residual[r, c] = its derivative
// by the output (skipped when null), times scale[r] where that is not null.
template <class Scalar>
void pixel_loss_rows(PixelLoss kind, const Scalar* output, const Scalar* x, Scalar* nats,
                     Scalar* residual, const Scalar* scale, const PixelRows& shape);

// Numbers of some latent units, one after another. excess is exp(log_variance) - 1.
template <class Scalar>
struct PosteriorUnits {
  const Scalar *mean, *pre_activation;
  Scalar *sigma, *log_variance, *slope, *excess, *kl;
};

// What posterior_term() and kl_to_standard_normal() say of each unit. sigma may be pre_activation.
template <class Scalar>
void posterior_units(PosteriorScale kind, const PosteriorUnits<Scalar>& units, int64_t count);

// The largest |value|; NaN where one is.
float largest_magnitude(const float* values, int64_t count);
float largest_magnitude_bfloat16(const uint16_t* values, int64_t count);  // the numbers' bits

// to[i] = the bits of the bfloat16 number nearest to values[i], of two the even one, as ATen rounds.
void round_to_bfloat16(const float* values, int64_t count, uint16_t* to);

// out[r, c] = scale[r] * in[r, c]
template <class Scalar>
void scale_rows(const Scalar* in, const Scalar* scale, Scalar* out, int64_t rows, int64_t columns);

}  // namespace elbow::models::loops
