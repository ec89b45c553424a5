#include "trainer/codes.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "trainer/split_sum.h"

namespace elbow::trainer {

Codes encode_split(const EvaluationParts& parts, const Row& row, const at::Tensor& parameters,
                   comm::Communicator& ranks, ThreadTeam& team) {
  ranks.at(row.step, "encoding");
  const auto bound = bound_for_measuring(parts.model, parameters);
  const int64_t examples = parts.data.examples();
  const auto own = own_examples(examples, ranks);
  auto codes = at::empty({own.size(), 2, parts.model.latent()});
  const int64_t leaves = (own.size() + kEvaluationLeaf - 1) / kEvaluationLeaf;
  team.run(leaves, [&](int64_t leaf) {
    const int64_t begin = own.begin + leaf * kEvaluationLeaf;
    const Range range{begin, std::min(begin + kEvaluationLeaf, own.end)};
    const auto batch = on_device(batch_of(parts, row.seed, range), parameters.device());
    const auto posterior = parts.model.encode(bound, batch.x, batch.condition);
    auto target = codes.narrow(0, range.begin - own.begin, range.size());
    target.select(1, 0).copy_(posterior.mean.select(0, 0));
    target.select(1, 1).copy_(posterior.scale.select(0, 0));
  });
  const auto all = gather_examples(examples, codes, ranks);
  return {all.select(1, 0).contiguous(), all.select(1, 1).contiguous()};
}

}  // namespace elbow::trainer
