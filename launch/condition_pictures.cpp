#include "launch/condition_pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace elbow::launch {
namespace {

constexpr int64_t kRows = 10, kSamples = 8;

// One latent a row, the same for every class.
ConditionView class_view(const Codec& codec, uint64_t seed) {
  const auto z = codec.prior_draws(seed, kRows);
  ConditionView view{.title = "a column for each class, a row for each draw of the prior",
                     .columns = {}};
  for (int64_t label = 0; label < codec.condition().values(); ++label) {
    const auto c = trainer::condition_of_label(codec.condition(), label);
    view.columns.push_back(
        {std::to_string(label), codec.decode(z, c.unsqueeze(0).expand({kRows, -1})).unsqueeze(1)});
  }
  return view;
}

}  // namespace

std::optional<ConditionView> condition_view(const Codec& codec, const Pairs& pairs, uint64_t seed) {
  const auto kind = codec.condition().kind;
  if (kind == trainer::ConditionKind::kMask && !codec.condition().target.empty())
    return completion_view(codec, pairs, nullptr, nullptr, kRows, codec.latent() > 0 ? kSamples : 1,
                           seed);
  if (kind == trainer::ConditionKind::kLabel) return class_view(codec, seed);
  return std::nullopt;
}

ConditionView completion_view(const Codec& codec, const Pairs& pairs, const Codec* regressor,
                              const Pairs* regressor_pairs, int64_t rows, int64_t samples,
                              uint64_t seed) {
  rows = std::min(rows, pairs.x.size(0));
  const auto condition = pairs.condition.narrow(0, 0, rows);
  const auto truth = codec.whole({pairs.x.narrow(0, 0, rows), condition});
  const auto drawn = codec.decode(codec.prior_draws(seed, rows * samples),
                                  condition.repeat_interleave(samples, 0));
  ConditionView view{.title = "what is given, and what is drawn of it", .columns = {}};
  view.columns.push_back({"given", codec.given(truth).unsqueeze(1)});
  view.columns.push_back(
      {codec.latent() > 0 ? "samples" : "drawn", drawn.view({rows, samples, -1})});
  if (regressor != nullptr) {
    const auto blurred = regressor->decode(at::empty({rows, regressor->latent()}),
                                           regressor_pairs->condition.narrow(0, 0, rows));
    view.columns.push_back({"regressor", blurred.unsqueeze(1)});
  }
  view.columns.push_back({"truth", truth.unsqueeze(1)});
  return view;
}

}  // namespace elbow::launch
