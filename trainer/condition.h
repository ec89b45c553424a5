// What is given (the condition c) and what is to be explained (x) of each example, by the settings:
// a class, attributes, or a part of the picture. Any number of threads at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/batch.h"
#include "trainer/dataset.h"
#include "trainer/settings.h"

namespace elbow::trainer {

enum class ConditionKind { kNone, kLabel, kAttributes, kMask };

struct ConditionPlan {
  ConditionKind kind = ConditionKind::kNone;
  int64_t observed = 0;  // numbers of x
  int64_t width = 0;   // numbers of c; 0: none. Where training hides it, the last number is 1 where
                       // c is there, and c is all zeros where it is hidden
  double dropout = 0;  // how often training hides it
  std::vector<int64_t> given, target;  // mask: places in the picture; target empty: x is all of it
  std::optional<Binarise> binarise{};  // of what is given of a picture, where not as the data
  int64_t picture = 0;                 // numbers of a whole example

  int64_t values() const {
    return width - (dropout > 0 ? 1 : 0);
  }  // of c, without that last number
};

// Throws SettingError where the data have no such condition, DataError where they contradict
// themselves.
ConditionPlan condition_plan(const Settings& settings, const Dataset& data);

// The places that data.mask gives, in the order of the picture. Throws SettingError.
std::vector<int64_t> given_places(const std::string& mask, const Dataset& data);

// x [count, observed] and c [count, width], float32 on the CPU, contiguous, of examples `indices`;
// `condition` may be undefined where the width is 0. What training draws anew at each presentation
// (request.measured: not) are streams of the trial's seed, the step and the example
// (models/philox.h): a grey number that is given is 1 with its probability; c is hidden as often as
// the plan says. An evaluation takes one fixed draw, and hides nothing. DataError where examples
// cannot be had.
void gather_pair(const Split& split, std::span<const int64_t> indices, const BatchRequest& request,
                 const ConditionPlan& plan, at::Tensor x, at::Tensor condition);

// The columns of whole examples [n, picture], or the numbers of one, [picture], that x has.
at::Tensor explained_part(const ConditionPlan& plan, const at::Tensor& examples);

// Whole pictures: x [n, observed] in its places and what is given in its own, [n, picture].
at::Tensor whole_pictures(const ConditionPlan& plan, const at::Tensor& x,
                          const at::Tensor& condition);

// c of a class or of attributes, the same for everybody: [width]. Throws SettingError where the
// numbers do not fit.
at::Tensor condition_of_label(const ConditionPlan& plan, int64_t label);
at::Tensor condition_of_attributes(const ConditionPlan& plan, const std::vector<double>& values);

}  // namespace elbow::trainer
