// Which form of a computation runs: loops of our own (CPU), or ATen operations, which run on any
// device. Both have the same formulas.
//
// The loops are for CPU tensors. A test may ask for the ATen forms there too: then the whole path
// that a GPU takes runs, and can be compared, on a machine without one.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>

namespace elbow::models {

inline std::atomic<int> aten_forms_wanted{0};  // AtenForms alive; of the process, so that a team's
                                               // threads see it too

// Whether the loops serve tensors of this device.
inline bool fused(const at::Device& device) {
  return device.is_cpu() && aten_forms_wanted.load(std::memory_order_relaxed) == 0;
}
inline bool fused(const at::Tensor& tensor) { return fused(tensor.device()); }

// While one lives, every thread of the process takes the ATen forms. For tests; make it before what
// it is to change.
class AtenForms {
 public:
  AtenForms() { ++aten_forms_wanted; }
  ~AtenForms() { --aten_forms_wanted; }
  AtenForms(const AtenForms&) = delete;
  AtenForms& operator=(const AtenForms&) = delete;
};

}  // namespace elbow::models
