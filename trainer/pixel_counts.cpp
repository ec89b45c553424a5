#include "trainer/pixel_counts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kChunk = 256;  // examples

// Adds bytes of the examples in `range` to sums [observed].
void add_bytes(const Split& split, const BatchRequest& request, const Range& range, int64_t* sums,
               int64_t observed) {
  std::vector<int64_t> indices;
  for (int64_t begin = range.begin; begin < range.end; begin += kChunk) {
    const int64_t count = std::min(kChunk, range.end - begin);
    indices.resize(static_cast<size_t>(count));
    std::iota(indices.begin(), indices.end(), begin);
    const auto x = at::empty({count, observed});
    gather(split, indices, request, x);
    const float* value = x.const_data_ptr<float>();
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t d = 0; d < observed; ++d)
        sums[d] += static_cast<int64_t>(value[i * observed + d] * 255.0f + 0.5f);
    }
  }
}

}  // namespace

at::Tensor pixel_means(const Split& split, const BatchRequest& request, comm::Communicator& ranks,
                       ThreadTeam& team) {
  const int64_t observed = split.source ? split.source->observed() : split.images.size(1);
  auto presented = request;
  if (presented.binarise == Binarise::kStochastic) presented.binarise = Binarise::kNone;
  presented.first_index = static_cast<uint32_t>(split.first_index);
  auto sums = at::zeros({team.size(), observed}, at::kLong);
  const auto own = part_of(split.examples(), ranks.size(), ranks.rank());
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(own.size(), team.size(), member);
    add_bytes(split, presented, {own.begin + share.begin, own.begin + share.end},
              sums.mutable_data_ptr<int64_t>() + member * observed, observed);
  });
  auto total = sums.sum(0);
  ranks.all_reduce_sum(total);
  return total.to(at::kDouble) / (255.0 * static_cast<double>(split.examples()));
}

double entropy_floor_nats(const at::Tensor& images) {
  std::array<int64_t, 256> counts{};
  const uint8_t* bytes = images.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < images.numel(); ++i) ++counts[bytes[i]];
  double floor = 0;
  for (int value = 1; value < 255; ++value) {
    const double x = value / 255.0;
    floor -= static_cast<double>(counts[value]) * (x * std::log(x) + (1 - x) * std::log1p(-x));
  }
  return floor / static_cast<double>(images.size(0));
}

}  // namespace elbow::trainer
