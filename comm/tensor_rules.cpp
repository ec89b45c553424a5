#include "comm/tensor_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "comm/error.h"

namespace elbow::comm {

void require_contiguous(const at::Tensor& tensor, std::string_view operation) {
  if (!tensor.defined()) throw Error(fmt::format("{}: the tensor is undefined", operation));
  if (!tensor.is_contiguous()) {
    throw Error(
        fmt::format("{}: the tensor of shape [{}] is not contiguous; pass tensor.contiguous()",
                    operation, fmt::join(tensor.sizes(), ", ")));
  }
}

void require_reducible(const at::Tensor& tensor, std::string_view operation) {
  require_contiguous(tensor, operation);
  switch (tensor.scalar_type()) {
    case at::kFloat:
    case at::kDouble:
    case at::kInt:
    case at::kLong:
    case at::kByte:
      return;
    default:
      throw Error(
          fmt::format("{}: dtype {} cannot be reduced; use float32, float64, int32, int64 or uint8",
                      operation, c10::toString(tensor.scalar_type())));
  }
}

void require_gatherable(const at::Tensor& input, const at::Tensor& output,
                        std::span<const int64_t> counts, int rank, int size) {
  require_contiguous(input, "all_gather");
  require_contiguous(output, "all_gather");
  if (std::ssize(counts) != size) {
    throw Error(fmt::format("all_gather: {} counts were given for {} ranks", counts.size(), size));
  }
  if (input.dim() == 0 || output.dim() == 0 || input.scalar_type() != output.scalar_type() ||
      input.device() != output.device() || input.sizes().slice(1) != output.sizes().slice(1)) {
    throw Error(fmt::format(
        "all_gather: input [{}] {} and output [{}] {} differ in more than their first dimension",
        fmt::join(input.sizes(), ", "), c10::toString(input.scalar_type()),
        fmt::join(output.sizes(), ", "), c10::toString(output.scalar_type())));
  }
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (input.size(0) != counts[rank] || output.size(0) != total) {
    throw Error(fmt::format(
        "all_gather: counts [{}] do not fit an input of {} and an output of {} on rank {}",
        fmt::join(counts, ", "), input.size(0), output.size(0), rank));
  }
}

void require_root(int root, int size) {
  if (root < 0 || root >= size) {
    throw Error(fmt::format("broadcast: root {} is not a rank of this group of {}", root, size));
  }
}

void require_color(int color) {
  if (color < 0) throw Error(fmt::format("split: color {} is negative", color));
}

}  // namespace elbow::comm
