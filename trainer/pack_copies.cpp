#include "trainer/pack_copies.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

namespace elbow::trainer {

std::unique_ptr<PackCopies> PackCopies::make_shared(Pack& pack, comm::Communicator& ranks) {
  const int64_t numbers = pack.parameters.numel() + pack.state.numel();
  std::string reason;
  std::shared_ptr<comm::HostMemory> memory =
      comm::HostMemory::create(ranks, 2 * numbers * 4, reason);
  if (memory == nullptr) return nullptr;
  auto* next = reinterpret_cast<float*>(memory->data());
  const auto place = [&](const at::Tensor& like) {
    const auto keep = [memory](void*) {};
    const auto tensor = at::from_blob(next, like.sizes(), keep, at::kFloat);
    next += like.numel();
    return tensor;
  };
  std::array<at::Tensor, 2> parameters, state;
  for (int copy = 0; copy < 2; ++copy) {
    parameters[copy] = place(pack.parameters);
    state[copy] = place(pack.state);
  }
  // Each rank writes all of it, the same bytes as the others.
  parameters[0].copy_(pack.parameters);
  state[0].copy_(pack.state);
  return std::unique_ptr<PackCopies>(new PackCopies(pack, std::move(parameters), std::move(state)));
}

std::unique_ptr<PackCopies> PackCopies::make(Pack& pack) {
  return std::unique_ptr<PackCopies>(
      new PackCopies(pack, {pack.parameters, at::empty_like(pack.parameters)},
                     {pack.state, at::empty_like(pack.state)}));
}

PackCopies::PackCopies(Pack& pack, std::array<at::Tensor, 2> parameters,
                       std::array<at::Tensor, 2> state)
    : pack_(pack), parameters_(std::move(parameters)), state_(std::move(state)) {
  for (auto& tags : tags_)
    tags = at::full({parameters_[0].size(0)}, -1, parameters_[0].options().dtype(at::kLong));
  pack.parameters = parameters_[0];
  pack.state = state_[0];
}

void PackCopies::write_row(int64_t row, const at::Tensor& gate, const Update& update) {
  const auto of_row = [&](const std::array<at::Tensor, 2>& copies, int copy) {
    return copies[copy].select(0, row);
  };
  const int next = 1 - current_;
  auto parameters = of_row(parameters_, next), state = of_row(state_, next);
  parameters.copy_(of_row(parameters_, current_));
  state.copy_(of_row(state_, current_));
  update(parameters, state);
  auto tag = of_row(tags_, next);
  const auto made = at::full_like(tag, pack_.rows[row].step + 1);
  if (!gate.defined()) {
    tag.copy_(made);
    return;
  }
  parameters.copy_(at::where(gate, parameters, of_row(parameters_, current_)));
  state.copy_(at::where(gate, state, of_row(state_, current_)));
  tag.copy_(at::where(gate, made, at::full_like(tag, -1)));
}

std::vector<int64_t> PackCopies::rows_behind() const {
  const auto tags = tags_[1 - current_].cpu();
  std::vector<int64_t> behind;
  for (int64_t row = 0; row < tags.size(0); ++row) {
    const auto& of = pack_.rows[row];
    if (of.steps() && tags[row].item<int64_t>() != of.step + 1) behind.push_back(row);
  }
  return behind;
}

void PackCopies::keep_row(int64_t row) {
  const int next = 1 - current_;
  parameters_[next].select(0, row).copy_(parameters_[current_].select(0, row));
  state_[next].select(0, row).copy_(state_[current_].select(0, row));
}

void PackCopies::flip() {
  current_ = 1 - current_;
  pack_.parameters = parameters_[current_];
  pack_.state = state_[current_];
}

at::Tensor update_gate(const at::Tensor& gradient, const at::Tensor& abort_word) {
  const auto finite = at::isfinite(gradient).all();
  return abort_word.defined() ? finite.logical_and(abort_word.select(0, 0).eq(0)) : finite;
}

}  // namespace elbow::trainer
