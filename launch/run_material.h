// What pictures and reports of a run are made from: its metrics, traces, and what its model says of
// held-out examples. Read from the run folder; the data come from where its configuration says.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/codec.h"
#include "launch/config.h"
#include "launch/figures/column_figure.h"
#include "launch/figures/image_figures.h"
#include "launch/metrics_history.h"

namespace elbow::launch {

// What a conditional model draws. Tensors are on the CPU, images whole.
struct ConditionView {
  std::string title;                          // what the rows or columns are
  std::vector<figures::ColumnGroup> columns;  // given parts, samples and truth; or a column a class
};

// What a model says of one split. Tensors are on the CPU.
struct ModelView {
  std::string split;
  Posteriors posteriors;  // of the split's first examples, at most kMostEncoded; without units
                          // for a regressor
  std::vector<uint8_t> labels;  // of the same; empty where there are none
  at::Tensor originals;         // [count, observed], the first of them
  at::Tensor reconstructions;   // decoded from mu
  at::Tensor samples;           // [kPriorSamples, observed], decoded from draws of the prior; with
                                // the conditions of the split's examples, one after another
  figures::ImageShape shape;
  std::function<at::Tensor(const at::Tensor& z)> decode;  // [n, latent] -> [n, observed], with the
                                                          // first example's condition
  std::optional<ConditionView> conditions{};
};

inline constexpr int64_t kMostEncoded = 10000;
inline constexpr int64_t kPriorSamples = 1000;

// `codec` must live as long as the view's `decode` is used. shape: of the data's images. seed: of
// the draws from the prior.
ModelView view_of(const Codec& codec, const trainer::Split& split, const figures::ImageShape& shape,
                  uint64_t seed, int64_t most_encoded);

struct RunMaterial {
  std::filesystem::path folder;
  std::string name;  // the folder's own
  ParsedConfig config;
  int64_t observed = 0;
  std::string status;  // of result.json; "running or stopped" where there is none
  double seconds = 0, examples_per_s = 0;
  int64_t parameters = 0;
  std::map<std::string, double> recon_floor_nats;  // by split: the entropy of grey data
  std::vector<MetricsLine> metrics;
  std::map<int64_t, at::Tensor> traces;  // by epoch, [steps, 2, latent]
  std::optional<ModelView> model;        // unset where the run has no weights yet
};

// Throws trainer::SettingError where the folder is no run, DataError where its files or its data
// are damaged, DamagedCheckpoint where its weights are.
RunMaterial read_run(const std::filesystem::path& folder);

}  // namespace elbow::launch
