#include "trainer/product_limit.h"

#include <ATen/ATen.h>

#include <chrono>

namespace elbow::trainer {

ProductLimit::ProductLimit(const models::ParameterLayout& layout, int64_t batch) {
  const auto add = [&](const at::Tensor& a, const at::Tensor& b) {
    products_.push_back({a, b, at::empty({a.size(0), b.size(1)})});
    flops_ += 2.0 * static_cast<double>(a.size(0) * a.size(1) * b.size(1));
  };
  bool reads_data = true;
  for (const auto& parameter : layout.parameters()) {
    if (!parameter.is_weight) continue;
    const int64_t rows = batch * parameter.products;
    const auto x = at::rand({rows, parameter.shape[0]});
    const auto w = at::randn({parameter.shape[0], parameter.shape[1]});
    const auto dy = at::randn({rows, parameter.shape[1]});
    add(x, w);
    add(x.t(), dy);
    if (!reads_data) add(dy, w.t());
    reads_data = false;
  }
}

double ProductLimit::seconds(int64_t repetitions) const {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < repetitions; ++i) {
    for (const auto& product : products_) {
      auto out = product.out;
      at::mm_out(out, product.a, product.b);
    }
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count() / static_cast<double>(repetitions);
}

}  // namespace elbow::trainer
