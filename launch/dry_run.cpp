#include "launch/dry_run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "comm/cuda_library.h"
#include "comm/text.h"
#include "launch/doctor/estimate.h"
#include "launch/doctor/host_facts.h"
#include "launch/doctor/places.h"
#include "launch/duration_text.h"
#include "launch/sweep/shape_key.h"
#include "trainer/trainer.h"

namespace elbow::launch {
namespace {

using doctor::bytes_text;
constexpr size_t kMostMeasured = 8;  // shapes; the others take as long as their mean

doctor::StepCost cost_of_pack(const trainer::Settings& settings, int64_t rows,
                              const trainer::Dataset& data, comm::Communicator& group,
                              const Devices& devices, trainer::ThreadTeam& team) {
  const auto observed = trainer::condition_plan(settings, data).observed;
  trainer::Trainer trainer(settings, std::vector(rows, trainer::row_of(settings, observed)), data,
                           group, team, devices.own);
  auto cost = doctor::measure_steps(trainer, data, settings.train.batch_size, group);
  cost.evaluation_s *= static_cast<double>(rows);
  return cost;
}

}  // namespace

std::string memory_lines(World& world, const Devices& devices) {
  auto& ranks = world.ranks();
  std::string mine =
      fmt::format("{} in {}", bytes_text(doctor::peak_memory_bytes()), ranks.host(ranks.rank()));
  if (!devices.own.is_cpu()) {
    const auto memory = comm::cuda_library().functions->gpu_memory(devices.own.index());
    mine += fmt::format(", {} of {} on {}", bytes_text(memory.bytes - memory.free_bytes),
                        bytes_text(memory.bytes), devices.names.at(ranks.rank()));
  }
  constexpr int kMost = 16;
  std::string text;
  const auto all = comm::gather_texts(ranks, mine);
  for (int rank = 0; rank < std::min(ranks.size(), kMost); ++rank)
    text += fmt::format("memory     rank {}: {}\n", rank, all[rank]);
  if (ranks.size() > kMost) text += fmt::format("           and {} more\n", ranks.size() - kMost);
  return text;
}

std::string run_files_text(const trainer::Settings& settings, const doctor::Estimate& estimate,
                           const std::string& folder, int ranks) {
  const auto& checkpoint = settings.checkpoint;
  std::string text = fmt::format(
      "files      into {}: config.cfg, manifest.json, metrics.jsonl, result.json, run.lock\n"
      "           traces/: posteriors of the first and the last epoch\n"
      "           checkpoints/: the last {}{}{}, {} each\n",
      folder, checkpoint.keep_last, checkpoint.keep_best ? " and the best" : "",
      checkpoint.keep_every > 0 ? fmt::format(", and every {} epochs", checkpoint.keep_every) : "",
      bytes_text(estimate.checkpoint_bytes));
  if (settings.log.tensorboard) text += "           tensorboard/: event files\n";
  if (settings.log.pictures_every > 0)
    text += fmt::format("           pictures every {} epochs\n", settings.log.pictures_every);
  if (ranks > 1) text += fmt::format("           logs/: a file for each of {} ranks\n", ranks);
  return text;
}

int64_t SweepPlan::trials() const {
  return std::accumulate(shapes.begin(), shapes.end(), int64_t{0},
                         [](int64_t sum, const auto& shape) { return sum + shape.trials; });
}

SweepPlan plan_sweep(const sweep::SweepConfig& sweep, const sweep::Shard& shard, int64_t groups,
                     int64_t ranks_per_group, int64_t rows_per_pack) {
  SweepPlan plan{
      .groups = groups, .ranks_per_group = ranks_per_group, .rows_per_pack = rows_per_pack};
  const sweep::TrialShapes shapes(sweep);
  std::vector<PlannedShape> by_shape(static_cast<size_t>(shapes.count()));
  for (int64_t trial = 0; trial < sweep.space.trials(); ++trial) {
    if (!shard.has(trial)) continue;
    auto& shape = by_shape.at(static_cast<size_t>(shapes.of(trial)));
    if (shape.trials++ == 0) shape.first_trial = trial;
  }
  for (auto& shape : by_shape) {
    if (shape.trials == 0) continue;
    shape.packs = (shape.trials + rows_per_pack - 1) / rows_per_pack;
    plan.shapes.push_back(shape);
  }
  return plan;
}

double seconds_of(const SweepPlan& plan) {
  std::vector<double> busy(static_cast<size_t>(plan.groups), 0.0);
  for (const auto& shape : plan.shapes)
    for (int64_t pack = 0; pack < shape.packs; ++pack)
      *std::ranges::min_element(busy) += shape.pack_s;
  return *std::ranges::max_element(busy);
}

std::string plan_text(const sweep::SweepConfig& sweep, const SweepPlan& plan) {
  constexpr size_t kMost = 20;
  std::string text =
      fmt::format("plan       {} trials, packs of {} row{}{}, {} group{} of {} rank{}\n",
                  plan.trials(), plan.rows_per_pack, plan.rows_per_pack == 1 ? "" : "s",
                  plan.rows_measured ? " (measured)" : "", plan.groups, plan.groups == 1 ? "" : "s",
                  plan.ranks_per_group, plan.ranks_per_group == 1 ? "" : "s");
  for (const auto& shape : plan.shapes) {
    if (&shape == &plan.shapes[std::min(kMost, plan.shapes.size() - 1)] &&
        plan.shapes.size() > kMost) {
      text += fmt::format("           and {} more shapes\n", plan.shapes.size() - kMost);
      break;
    }
    text += fmt::format("           {} trial{} like {} ({}): {} pack{}, {}{} each\n", shape.trials,
                        shape.trials == 1 ? "" : "s", shape.first_trial,
                        described(sweep, sweep.space.trial(shape.first_trial)), shape.packs,
                        shape.packs == 1 ? "" : "s", shape.measured ? "" : "about ",
                        duration_text(shape.pack_s));
  }
  text += fmt::format("time       about {}{}\n", duration_text(seconds_of(plan)),
                      sweep.settings.pruning == "none" ? "" : ", less what pruning saves");
  return text;
}

std::string sweep_files_text(const SweepPlan& plan, const std::string& folder) {
  return fmt::format(
      "files      into {}: sweep.cfg, ledger.jsonl, results.csv, result.json, sweep.lock\n"
      "           trials/: {} folders like a run's, with checkpoints of {} each\n",
      folder, plan.trials(), bytes_text(plan.checkpoint_bytes));
}

void measure_plan(SweepPlan& plan, const sweep::SweepConfig& sweep, const trainer::Dataset& data,
                  World& world, comm::Communicator& group, const Devices& devices,
                  trainer::ThreadTeam& team) {
  double sum = 0;
  size_t measured = 0;
  for (auto& shape : plan.shapes) {
    const auto settings = config_of(sweep, sweep.space.trial(shape.first_trial)).settings;
    world.together([&] {
      const bool own_data = sweep.has_data_axis();
      const auto other = own_data ? trainer::load_dataset(settings.data) : trainer::Dataset{};
      const auto& examples = own_data ? other : data;
      const auto per_epoch = trainer::steps_in_epoch(settings.train, examples);
      const auto steps = trainer::steps_of(settings.train, per_epoch);
      shape.epochs = (steps + per_epoch - 1) / per_epoch;
      shape.measured = measured < kMostMeasured;
      if (!shape.measured) {
        shape.pack_s = sum / static_cast<double>(measured);
        return;
      }
      const auto rows = std::min(plan.rows_per_pack, shape.trials);
      const auto cost = cost_of_pack(settings, rows, examples, group, devices, team);
      shape.pack_s = static_cast<double>(steps) * cost.step_s +
                     static_cast<double>(shape.epochs) * cost.evaluation_s;
      if (measured == 0) plan.checkpoint_bytes = cost.checkpoint_bytes;
      sum += shape.pack_s;
      ++measured;
    });
  }
}

}  // namespace elbow::launch
