// A pack's weights and optimizer state in memory that the ranks of a host share, twice: the ranks
// read one copy while they write the next, each rank its own columns. So an update is there wholly,
// or not at all, whenever a rank dies.
#pragma once

#include <array>
#include <memory>

#include "comm/communicator.h"
#include "comm/host_memory.h"
#include "trainer/pack.h"

namespace elbow::trainer {

class SharedPack {
 public:
  // Moves the tensors of `pack` there. Every rank calls it, with equal packs on the CPU. nullptr on
  // all ranks where they are not on one host, or it has no room. The tensors outlive the object.
  static std::unique_ptr<SharedPack> make(Pack& pack, comm::Communicator& ranks);

  int current() const { return current_; }  // 0 or 1: the copy that the pack's tensors are
  const at::Tensor& parameters(int copy) const { return parameters_[copy]; }  // [K, P]
  const at::Tensor& state(int copy) const { return state_[copy]; }            // [K, S, P]

  // Makes the other copy the pack's. Local: the ranks have agreed that it is whole.
  void flip();

 private:
  SharedPack(Pack& pack, std::shared_ptr<comm::HostMemory> memory);

  Pack& pack_;
  std::array<at::Tensor, 2> parameters_, state_;
  int current_ = 0;
};

}  // namespace elbow::trainer
