#include "trainer/shared_pack.h"

#include <ATen/ATen.h>

#include <string>

namespace elbow::trainer {

std::unique_ptr<SharedPack> SharedPack::make(Pack& pack, comm::Communicator& ranks) {
  const int64_t numbers = pack.parameters.numel() + pack.state.numel();
  std::string reason;
  auto memory = comm::HostMemory::create(ranks, 2 * numbers * 4, reason);
  if (memory == nullptr) return nullptr;
  return std::unique_ptr<SharedPack>(new SharedPack(pack, std::move(memory)));
}

// Each rank writes all of the first copy, the same bytes as the others.
SharedPack::SharedPack(Pack& pack, std::shared_ptr<comm::HostMemory> memory) : pack_(pack) {
  auto* next = reinterpret_cast<float*>(memory->data());
  const auto place = [&](const at::Tensor& like) {
    const auto keep = [memory](void*) {};
    const auto tensor = at::from_blob(next, like.sizes(), keep, at::kFloat);
    next += like.numel();
    return tensor;
  };
  for (int copy = 0; copy < 2; ++copy) {
    parameters_[copy] = place(pack.parameters);
    state_[copy] = place(pack.state);
  }
  parameters_[0].copy_(pack.parameters);
  state_[0].copy_(pack.state);
  pack.parameters = parameters_[0];
  pack.state = state_[0];
}

void SharedPack::flip() {
  current_ = 1 - current_;
  pack_.parameters = parameters_[current_];
  pack_.state = state_[current_];
}

}  // namespace elbow::trainer
