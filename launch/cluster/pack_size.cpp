#include "launch/cluster/pack_size.h"

#include <ATen/ATen.h>
#include <c10/core/Device.h>

#include <chrono>
#include <new>
#include <vector>

#include "trainer/assembly.h"
#include "trainer/trainer.h"

namespace elbow::launch::cluster {
namespace {

constexpr int64_t kMostRows = 1024;
constexpr int64_t kWarmUpSteps = 2, kSteps = 6;
constexpr double kClearly = 1.1;

// Rows times steps a second; 0 where there is no memory for them.
double rate_of(const trainer::Settings& settings, const trainer::Dataset& data,
               comm::Communicator& ranks, trainer::ThreadTeam& team, at::Device device,
               int64_t rows) {
  using Clock = std::chrono::steady_clock;
  try {
    trainer::Trainer trainer(settings,
                             std::vector(rows, trainer::row_of(settings, data.observed())), data,
                             ranks, team, device);
    trainer.run_steps(kWarmUpSteps);
    const auto start = Clock::now();
    trainer.run_steps(kSteps);
    const std::chrono::duration<double> seconds = Clock::now() - start;
    return static_cast<double>(rows * kSteps) / seconds.count();
  } catch (const c10::OutOfMemoryError&) {
    return 0;
  }
}

}  // namespace

int64_t rows_per_pack(const trainer::Settings& settings, const trainer::Dataset& data,
                      comm::Communicator& ranks, trainer::ThreadTeam& team, at::Device device,
                      int64_t most) {
  int64_t rows = 1;
  double best = 0;
  for (int64_t next = 1; next <= std::min(most, kMostRows); next *= 2) {
    auto rate = at::full({1}, rate_of(settings, data, ranks, team, device, next), at::kDouble);
    ranks.broadcast(rate, /*root=*/0);
    const double found = rate.item<double>();
    if (next > 1 && found < kClearly * best) break;
    best = found;
    rows = next;
  }
  return rows;
}

}  // namespace elbow::launch::cluster
