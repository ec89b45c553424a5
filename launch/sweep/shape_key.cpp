#include "launch/sweep/shape_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace elbow::launch::sweep {
namespace {

// Numbers of trainer::Row.
constexpr std::string_view kOfRows[] = {"objective.beta",
                                        "objective.kl_wt",
                                        "objective.anneal",
                                        "objective.anneal_steps",
                                        "objective.anneal_cycles",
                                        "objective.anneal_rise",
                                        "objective.capacity_nats",
                                        "objective.capacity_from",
                                        "objective.capacity_steps",
                                        "objective.free_bits",
                                        "objective.sigma_wt",
                                        "objective.l2",
                                        "optimizer.lr",
                                        "optimizer.clip_norm",
                                        "optimizer.schedule",
                                        "optimizer.stages",
                                        "optimizer.milestones",
                                        "optimizer.factor",
                                        "optimizer.lr_end",
                                        "optimizer.warmup_steps",
                                        "train.epochs",
                                        "train.patience",
                                        "train.seed"};

constexpr std::string_view kOfLaunch[] = {"train.threads",      "train.device",
                                          "train.max_time",     "train.time_margin",
                                          "train.hang_timeout", "train.hang_debugger"};

template <size_t N>
bool contains(const std::string_view (&keys)[N], const std::string& key) {
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

}  // namespace

bool may_be_axis(const std::string& key) {
  return !contains(kOfLaunch, key) && !key.starts_with("checkpoint.") && !key.starts_with("log.");
}

bool may_differ_in_pack(const std::string& key) {
  return contains(kOfRows, key) || !may_be_axis(key);
}

std::string shape_key(const trainer::Settings& settings) {
  std::string text;
  for (const Setting& setting : setting_table()) {
    if (!may_differ_in_pack(setting.key))
      text += fmt::format("{} = {}\n", setting.key, setting.print(settings));
  }
  if (settings.objective.free_bits > 0) text += "with objective.free_bits\n";
  if (settings.objective.sigma_wt > 0) text += "with objective.sigma_wt\n";
  return text;
}

TrialShapes::TrialShapes(const SweepConfig& sweep) {
  std::map<std::string, int64_t> known;
  for (int64_t c = 0; c < sweep.space.configurations(); ++c) {
    const auto settings = config_of(sweep, sweep.space.trial(c)).settings;
    shapes_.push_back(
        known.emplace(shape_key(settings), static_cast<int64_t>(known.size())).first->second);
  }
  count_ = static_cast<int64_t>(known.size());
}

int64_t TrialShapes::of(int64_t trial) const {
  return shapes_[static_cast<size_t>(trial % static_cast<int64_t>(shapes_.size()))];
}

}  // namespace elbow::launch::sweep
