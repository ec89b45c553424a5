#include <ATen/ATen.h>
#include <fmt/format.h>

#include <optional>

#include "launch/bench.h"
#include "launch/cluster/pack_size.h"
#include "launch/sweep/sweep_config.h"
#include "launch/training.h"
#include "trainer/build_info.h"

namespace elbow::launch {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kRounds = 5;
constexpr int64_t kMostRowsOnCpu = 64, kMostRowsOnGpu = 1024;
constexpr double kLongest = 4;  // seconds of a pack's step, behind which larger ones are left out

struct PackLine {
  int64_t rows = 0;
  double memory_bytes = 0;
  std::vector<double> row_steps_per_s{};
};

// Packs take turns, so that a machine whose speed drifts does not favour one of them. Rank 0 says
// which packs there are.
std::vector<PackLine> measure(Training& training, World& world) {
  auto& ranks = training.ranks(world);
  const int64_t most = training.devices.own.is_cpu() ? kMostRowsOnCpu : kMostRowsOnGpu;
  std::vector<PackLine> lines;
  for (int round = 0; round < kRounds; ++round) {
    for (int64_t rows = 1, place = 0; rows <= most; rows *= 4, ++place) {
      if (round > 0 && place == static_cast<int64_t>(lines.size())) break;
      const auto speed = cluster::speed_of_pack(training.config.settings, training.data, ranks,
                                                *training.team, training.devices.own, rows);
      auto seconds = at::full({1}, speed ? 1 / speed->steps_per_s : 0, at::kDouble);
      auto all_fit = at::full({1}, speed ? -1 : 0, at::kDouble);
      ranks.all_reduce_max(all_fit);
      ranks.broadcast(seconds, /*root=*/0);
      if (all_fit.item<double>() == 0) break;
      const double step_s = seconds.item<double>();
      // Later packs are made of memory that larger ones have left.
      if (round == 0) lines.push_back({.rows = rows, .memory_bytes = speed->memory_bytes});
      lines[place].row_steps_per_s.push_back(static_cast<double>(rows) / step_s);
      if (round == 0 && step_s > kLongest) break;
    }
  }
  return lines;
}

}  // namespace

ExitCode bench_sweep(const BenchCommand& command, World& world) {
  const auto training = prepare_training(world, [&] {
    return sweep::first_config(command.config, command.words, current_environment());
  });
  const auto& settings = training->config.settings;
  training->trainer.reset();  // its memory is none of the packs'
  const auto lines = measure(*training, world);
  const int64_t chosen =
      cluster::rows_per_pack(settings, training->data, training->ranks(world), *training->team,
                             training->devices.own, kMostRowsOnGpu);

  const auto batch = static_cast<double>(settings.train.batch_size);
  Json packs = Json::array();
  std::string text = fmt::format(
      "{} ranks of {} threads, batches of {} a row\n{:>6} {:>20} {:>10} {:>13} {:>12}\n",
      world.ranks().size(), training->team->size(), settings.train.batch_size, "rows",
      "model-examples/s", "against 1", "ms a step", "MB a row");
  for (const auto& line : lines) {
    const double rate = median(line.row_steps_per_s), alone = median(lines[0].row_steps_per_s);
    const auto rows = static_cast<double>(line.rows);
    std::optional<double> mb;
    if (line.rows > 1) mb = (line.memory_bytes - lines[0].memory_bytes) / (rows - 1) / 1e6;
    packs.push_back({{"rows", line.rows},
                     {"model_examples_per_s", rate * batch},
                     {"against_one_row", rate / alone},
                     {"step_ms", 1e3 * rows / rate},
                     {"mb_per_row", mb ? Json(*mb) : Json(nullptr)}});
    text += fmt::format("{:>6} {:>20.0f} {:>10.2f} {:>13.3f} {:>12}\n", line.rows, rate * batch,
                        rate / alone, 1e3 * rows / rate, mb ? fmt::format("{:.1f}", *mb) : "-");
  }
  text += fmt::format("sweep.rows_per_pack = auto would take {} here\n", chosen);
  show_bench(command, world,
             {{"bench", "sweep"},
              {"config", training->config.name},
              {"ranks", world.ranks().size()},
              {"threads_per_rank", training->team->size()},
              {"reproducible", settings.train.reproducible},
              {"batch_size", settings.train.batch_size},
              {"packs", packs},
              {"rows_per_pack_auto", chosen},
              {"version", trainer::build_info().elbow}},
             text);
  return ExitCode::kDone;
}

}  // namespace elbow::launch
