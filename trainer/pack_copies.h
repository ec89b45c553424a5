// A pack's weights and optimizer state twice: a step reads one copy while it writes the next, which
// becomes the pack's when it is whole. So a step is applied wholly, or not at all, whenever it is
// cut short.
//
// On the ranks of a host both lie in memory that these share, and each writes its own columns. On a
// device nobody waits to see whether a sum was whole: the update itself is gated there, and each
// row of a copy has a tag that says which step it holds.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "comm/host_memory.h"
#include "trainer/pack.h"

namespace elbow::trainer {

class PackCopies {
 public:
  // In memory that the ranks share; every rank calls it, with equal packs on the CPU. nullptr on
  // all ranks where they are not on one host, or it has no room. Moves the tensors of `pack` there;
  // they outlive the object.
  static std::unique_ptr<PackCopies> make_shared(Pack& pack, comm::Communicator& ranks);
  // This rank's own, where the pack is.
  static std::unique_ptr<PackCopies> make(Pack& pack);

  int current() const { return current_; }  // 0 or 1: the copy that the pack's tensors are
  const at::Tensor& parameters(int copy) const { return parameters_[copy]; }  // [K, P]
  const at::Tensor& state(int copy) const { return state_[copy]; }            // [K, S, P]

  // Row k of the other copy becomes what update(parameters [P], state [S, P]) makes, in place, of
  // this one where `gate` (a bool on the pack's device; undefined is true) is true, and stays this
  // one where not; its tag becomes the row's next step, or none. Nothing waits.
  using Update = std::function<void(at::Tensor parameters, at::Tensor state)>;
  void write_row(int64_t row, const at::Tensor& gate, const Update& update);
  // The stepping rows of which the other copy does not hold the next step. The host waits.
  std::vector<int64_t> rows_behind() const;
  // Row k of the other copy becomes this one's: a row that stays while others step.
  void keep_row(int64_t row);

  // Makes the other copy the pack's. Local: it is known to be whole.
  void flip();

 private:
  PackCopies(Pack& pack, std::array<at::Tensor, 2> parameters, std::array<at::Tensor, 2> state);

  Pack& pack_;
  std::array<at::Tensor, 2> parameters_, state_;
  std::array<at::Tensor, 2> tags_;  // [K], int64, on the pack's device: steps made, -1 is none
  int current_ = 0;
};

// Whether an update may be made of `gradient`, as a bool on its device: every number is finite, and
// no operation of the group was cut short so far. abort_word: Communicator's.
at::Tensor update_gate(const at::Tensor& gradient, const at::Tensor& abort_word);

}  // namespace elbow::trainer
