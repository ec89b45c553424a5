#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "launch/bench.h"
#include "launch/commands.h"
#include "launch/doctor/host_facts.h"
#include "launch/training.h"
#include "models/mkl.h"
#include "trainer/build_info.h"
#include "trainer/product_limit.h"
#include "trainer/seconds_since.h"
#include "trainer/trainer.h"

namespace elbow::launch {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

// Seconds that one call takes: the median over rounds on rank 0, all ranks starting together.
template <class Call>
double seconds_of(comm::Communicator& ranks, int rounds, const Call& call) {
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    ranks.barrier();
    const auto start = Clock::now();
    call();
    seconds.push_back(trainer::seconds_since(start));
  }
  return median(seconds);
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void show_bench(const BenchCommand& command, World& world, const Json& result,
                const std::string& text) {
  if (world.ranks().rank() != 0) return;
  std::fputs(command.json ? (result.dump() + "\n").c_str() : text.c_str(), stdout);
}

// Steps and products take turns, so that a machine whose speed drifts does not favour one of them.
ExitCode bench_step(const BenchCommand& command, World& world) {
  constexpr int kRounds = 15;
  const auto training = prepare_training(world, command.config, command.words);
  const auto& settings = training->config.settings;
  auto& trainer = training->trainer;
  const trainer::ProductLimit products(trainer->model().layout(), settings.train.batch_size);

  const int64_t steps = std::max<int64_t>(10, 8000 / settings.train.batch_size);
  trainer->run_steps(steps);  // caches, allocator, frequency
  std::vector<double> step_s, product_s;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    trainer->run_steps(steps);
    step_s.push_back(trainer::seconds_since(start) / static_cast<double>(steps));
    product_s.push_back(products.seconds(steps / 2 + 1));
  }
  const double step = median(step_s), product = median(product_s);
  const double batch = static_cast<double>(settings.train.batch_size);
  const double workers = static_cast<double>(training->team->size()) * world.ranks().size();
  const double peak_mb = static_cast<double>(doctor::peak_memory_bytes()) / (1 << 20);
  const Json result = {{"bench", "step"},
                       {"config", training->config.name},
                       {"ranks", world.ranks().size()},
                       {"threads_per_rank", training->team->size()},
                       {"reproducible", settings.train.reproducible},
                       {"leaves", trainer->leaves()},
                       {"batch_size", settings.train.batch_size},
                       {"examples_per_s", batch / step},
                       {"step_ms", step * 1e3},
                       {"step_ms_min", *std::ranges::min_element(step_s) * 1e3},
                       {"step_ms_max", *std::ranges::max_element(step_s) * 1e3},
                       {"product_limit_examples_per_s", workers * batch / product},
                       {"product_limit_share", product / (workers * step)},
                       {"product_gflops_per_thread", products.flops() / product * 1e-9},
                       {"peak_rss_mb", peak_mb},
                       {"mkl_branch", models::mkl_branch()},
                       {"version", trainer::build_info().elbow}};
  show_bench(
      command, world, result,
      fmt::format("step       {:.3f} ms ({:.3f} to {:.3f} over {} rounds of {} steps)\n"
                  "speed      {:.0f} examples/s on {} ranks of {} threads\n"
                  "products   {:.3f} ms on one thread ({:.0f} GFLOP/s): the step runs at {:.1f} % "
                  "of what its matrix "
                  "products alone would allow, zeros and all\n"
                  "memory     {:.0f} MB at most in this process\n",
                  step * 1e3, *std::ranges::min_element(step_s) * 1e3,
                  *std::ranges::max_element(step_s) * 1e3, kRounds, steps, batch / step,
                  world.ranks().size(), training->team->size(), product * 1e3,
                  products.flops() / product * 1e-9, 100 * product / (workers * step), peak_mb));
  return ExitCode::kDone;
}

ExitCode bench_comm(const BenchCommand& command, World& world) {
  auto& ranks = world.ranks();
  const int size = ranks.size();
  Json rows = Json::array();
  std::string text =
      fmt::format("{} ranks, {}\n{:>12} {:>16} {:>12} {:>16} {:>12}\n", size, ranks.backend(),
                  "bytes", "all_reduce us", "GB/s", "all_gather us", "GB/s");
  for (int64_t bytes = 64; bytes <= (int64_t{64} << 20); bytes *= 8) {
    auto numbers = at::ones({bytes / 4});
    auto gathered = at::empty({bytes / 4 * size});
    const std::vector<int64_t> counts(size, bytes / 4);
    const int rounds = bytes > (1 << 20) ? 9 : 51;
    const double reduce = seconds_of(ranks, rounds, [&] { ranks.all_reduce_sum(numbers.zero_()); });
    const double gather =
        seconds_of(ranks, rounds, [&] { ranks.all_gather(numbers, gathered, counts); });
    const auto size_bytes = static_cast<double>(bytes);
    rows.push_back({{"bytes", bytes},
                    {"all_reduce_us", reduce * 1e6},
                    {"all_reduce_gb_per_s", size_bytes / reduce * 1e-9},
                    {"all_gather_us", gather * 1e6},
                    {"all_gather_gb_per_s", size_bytes * size / gather * 1e-9}});
    text +=
        fmt::format("{:>12} {:>16.1f} {:>12.3f} {:>16.1f} {:>12.3f}\n", bytes, reduce * 1e6,
                    size_bytes / reduce * 1e-9, gather * 1e6, size_bytes * size / gather * 1e-9);
  }
  show_bench(command, world,
             {{"bench", "comm"}, {"backend", ranks.backend()}, {"ranks", size}, {"sizes", rows}},
             text);
  return ExitCode::kDone;
}

ExitCode run_bench(const BenchCommand& command, World& world) {
  switch (command.kind) {
    case BenchKind::kStep:
      return bench_step(command, world);
    case BenchKind::kComm:
      return bench_comm(command, world);
    case BenchKind::kSweep:
      return bench_sweep(command, world);
    case BenchKind::kScaling:
      break;
  }
  return bench_scaling(command, world);
}

}  // namespace elbow::launch
