// A plain struct on its way from an autograd function's forward to its backward: what it holds is
// hidden from autograd, and looking one thing up takes less than looking up many by name.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace elbow::models {

template <class Struct>
struct Carried : torch::CustomClassHolder {
  explicit Carried(Struct its) : content(std::move(its)) {}
  Struct content;
};

template <class Struct>
void carry(torch::autograd::AutogradContext* context, Struct content) {
  context->saved_data["carried"] =
      c10::IValue::make_capsule(c10::make_intrusive<Carried<Struct>>(std::move(content)));
}

// What carry() was given; it lives as long as the context.
template <class Struct>
const Struct& carried(torch::autograd::AutogradContext* context) {
  const auto capsule = context->saved_data["carried"].toCapsule();
  return static_cast<const Carried<Struct>&>(*capsule).content;
}

}  // namespace elbow::models
