#include "launch/doctor/sum_trial.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "launch/bench.h"
#include "trainer/seconds_since.h"

namespace elbow::launch::doctor {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kSmall = 8, kLarge = int64_t{4} << 20;  // bytes
constexpr int64_t kNumberBytes = 4;
constexpr int kWarmUp = 3;

// One sum, begun by all at once and waited for.
double timed_sum(comm::Communicator& ranks, at::Tensor numbers) {
  ranks.barrier();
  const auto start = Clock::now();
  ranks.all_reduce_sum(numbers.zero_());
  ranks.wait();
  static_cast<void>(numbers[0].item<float>());  // a GPU has done it
  return trainer::seconds_since(start);
}

// Rank 0 says how often: all must do the same number.
double median_sum(comm::Communicator& ranks, at::Device device, int64_t bytes, double seconds) {
  const auto numbers = at::zeros({bytes / kNumberBytes}, at::device(device));
  std::vector<double> first;
  for (int round = 0; round < kWarmUp; ++round) first.push_back(timed_sum(ranks, numbers));
  constexpr double kMost = 1e5;
  auto rounds =
      at::full({1}, std::clamp(seconds / std::max(median(first), 1e-6), 3.0, kMost), at::kDouble);
  ranks.broadcast(rounds, 0);
  std::vector<double> times;
  const auto count = static_cast<int64_t>(rounds.item<double>());
  for (int64_t round = 0; round < count; ++round) times.push_back(timed_sum(ranks, numbers));
  return median(std::move(times));
}

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

SumFacts measure_sums(comm::Communicator& ranks, at::Device device, double seconds) {
  const double latency = median_sum(ranks, device, kSmall, seconds / 4);
  const double large = median_sum(ranks, device, kLarge, seconds * 3 / 4);
  return {.backend = ranks.backend(),
          .latency_s = latency,
          .bytes = kLarge,
          .bytes_per_second = static_cast<double>(kLarge) / large};
}

// The round with the shortest barrier tells most.
ClockFacts compare_clocks(comm::Communicator& ranks) {
  constexpr int kRounds = 10;
  ClockFacts best{.uncertainty_s = 1e9};
  for (int round = 0; round < kRounds; ++round) {
    ranks.barrier();
    const auto start = Clock::now();
    ranks.barrier();
    const double now = wall_clock();
    const double barrier_s = trainer::seconds_since(start);
    auto of_rank_0 = at::full({1}, now, at::kDouble);
    ranks.broadcast(of_rank_0, 0);
    if (barrier_s < best.uncertainty_s)
      best = {.offset_s = now - of_rank_0.item<double>(), .uncertainty_s = barrier_s};
  }
  return best;
}

}  // namespace elbow::launch::doctor
