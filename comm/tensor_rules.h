// What every backend demands of its arguments, in one place, so that a mistake is the same sentence
// on all of them. Each function throws comm::Error, before anything was sent.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace elbow::comm {

void require_contiguous(const at::Tensor& tensor, std::string_view operation);
void require_reducible(const at::Tensor& tensor,
                       std::string_view operation);  // contiguous, of a summable dtype
void require_gatherable(const at::Tensor& input, const at::Tensor& output,
                        std::span<const int64_t> counts, int rank, int size);
void require_root(int root, int size);
void require_color(int color);

}  // namespace elbow::comm
