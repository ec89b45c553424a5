// Optimizers on flat rows. Element by element and without memory of their own: state lies in the
// pack. On the CPU a row is shared out over the team; on other devices ATen does the same sums.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/parameter_layout.h"
#include "trainer/leaves.h"
#include "trainer/settings.h"
#include "trainer/thread_team.h"

namespace elbow::trainer {

// What one update of a row needs besides tensors.
struct UpdateRates {
  double lr;
  double l2;                  // adds 2 * l2 * w to the gradient of every weight (not of biases)
  int64_t step;               // optimizer steps made before this one
  double gradient_scale = 1;  // multiplies the gradient before L2's is added
};

class Optimizer {
 public:
  // rmsprop: s = rho s + (1 - rho) g^2, w -= lr g / (sqrt(s) + epsilon): Keras 2's meaning, epsilon
  // outside the root. adam: Kingma & Ba 2015, algorithm 1 (its step counts from 1), both
  // corrections taken into the step size and epsilon.
  explicit Optimizer(const OptimizerSettings& settings);

  int64_t states() const;  // S: 1 for rmsprop, 2 for adam
  std::vector<std::string> state_names()
      const;  // as in files: "square_average"; "first_moment", "second_moment"

  // One row's weights [P] and state [S, P] on the CPU.
  struct Place {
    float* parameters;
    float* state;
  };
  // Some columns of a row: reads `from`, writes `to`, which may be the same. gradient: of the first
  // of `columns`. Any thread.
  void update_columns(const models::ParameterLayout& layout, const UpdateRates& rates,
                      const Range& columns, const float* gradient, const Place& from,
                      const Place& to) const;

  // One update of one row, in place. parameters, gradient: [P]; state: [S, P]; float32, contiguous,
  // on one device.
  void update(const models::ParameterLayout& layout, const UpdateRates& rates,
              const at::Tensor& gradient, at::Tensor parameters, at::Tensor state,
              ThreadTeam& team) const;

 private:
  template <class Use>
  void with_rule(const UpdateRates& rates, const Use& use) const;

  bool adam_;
  double beta1_, beta2_, rho_, epsilon_;
};

// Whether every number is finite. values: float32, contiguous, any device; the host waits.
bool all_finite(const at::Tensor& values, ThreadTeam& team);
bool all_finite(const float* values, int64_t count, ThreadTeam& team);
bool all_finite(const float* values, int64_t count);

// Sum of the squares of all weights (not biases) of one row [P], in float64, added like
// sum_of_squares() of gradient_norm.h: the team's size moves no bit. Any device; the host waits.
double sum_of_squared_weights(const models::ParameterLayout& layout, const at::Tensor& row,
                              ThreadTeam& team);

}  // namespace elbow::trainer
