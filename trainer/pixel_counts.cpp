#include "trainer/pixel_counts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "trainer/leaves.h"

namespace elbow::trainer {
namespace {

constexpr int64_t kChunk = 256;  // examples

// What is counted, and of how many examples, evenly spaced.
struct Counted {
  const Split& split;
  BatchRequest request;
  int64_t examples;
  double units;  // that a pixel of 1 has

  int64_t index(int64_t i) const { return i * split.examples() / examples; }
};

// Bytes are counted in 255ths, exactly; float32 finer, and below 2^63 for 10^9 examples.
constexpr double kByteUnits = 255, kFloatUnits = 4294967296.0;

// Adds units of the examples in `range` to sums [observed].
void add_units(const Counted& counted, const Range& range, int64_t* sums, int64_t observed) {
  std::vector<int64_t> indices;
  for (int64_t begin = range.begin; begin < range.end; begin += kChunk) {
    const int64_t count = std::min(kChunk, range.end - begin);
    indices.clear();
    for (int64_t i = begin; i < begin + count; ++i) indices.push_back(counted.index(i));
    const auto x = at::empty({count, observed});
    gather(counted.split, indices, counted.request, x);
    const float* value = x.const_data_ptr<float>();
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t d = 0; d < observed; ++d)
        sums[d] += static_cast<int64_t>(value[i * observed + d] * counted.units + 0.5);
    }
  }
}

}  // namespace

at::Tensor pixel_means(const Split& split, const BatchRequest& request, comm::Communicator& ranks,
                       ThreadTeam& team, int64_t at_most) {
  const int64_t observed = split.observed();
  const bool floats = !split.source && split.images.scalar_type() == at::kFloat;
  Counted counted{.split = split,
                  .request = request,
                  .examples = std::min(split.examples(), at_most),
                  .units = floats ? kFloatUnits : kByteUnits};
  if (request.binarise == Binarise::kStochastic) counted.request.binarise = Binarise::kNone;
  counted.request.first_index = static_cast<uint32_t>(split.first_index);
  auto sums = at::zeros({team.size(), observed}, at::kLong);
  const auto own = part_of(counted.examples, ranks.size(), ranks.rank());
  team.run(team.size(), [&](int64_t member) {
    const auto share = part_of(own.size(), team.size(), member);
    add_units(counted, {own.begin + share.begin, own.begin + share.end},
              sums.mutable_data_ptr<int64_t>() + member * observed, observed);
  });
  auto total = sums.sum(0);
  ranks.all_reduce_sum(total);
  return total.to(at::kDouble) / (counted.units * static_cast<double>(counted.examples));
}

double zero_share(const Split& split, const BatchRequest& request, int64_t at_most) {
  const Counted counted{.split = split,
                        .request = request,
                        .examples = std::min(split.examples(), at_most),
                        .units = 1};
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < counted.examples; ++i) indices.push_back(counted.index(i));
  const auto x = at::empty({counted.examples, split.observed()});
  auto as_trained = request;
  as_trained.first_index = static_cast<uint32_t>(split.first_index);
  gather(split, indices, as_trained, x);
  const auto zeros = static_cast<double>(x.eq(0).sum().item<int64_t>());
  return zeros / static_cast<double>(std::max<int64_t>(x.numel(), 1));
}

double entropy_floor_nats(const at::Tensor& images) {
  const auto entropy = [](double x) {
    return x > 0 && x < 1 ? -x * std::log(x) - (1 - x) * std::log1p(-x) : 0.0;
  };
  double floor = 0;
  if (images.scalar_type() == at::kFloat) {
    const float* values = images.const_data_ptr<float>();
    for (int64_t i = 0; i < images.numel(); ++i) floor += entropy(values[i]);
    return floor / static_cast<double>(images.size(0));
  }
  std::array<int64_t, 256> counts{};
  const uint8_t* bytes = images.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < images.numel(); ++i) ++counts[bytes[i]];
  for (int value = 1; value < 255; ++value)
    floor += static_cast<double>(counts[value]) * entropy(value / 255.0);
  return floor / static_cast<double>(images.size(0));
}

}  // namespace elbow::trainer
