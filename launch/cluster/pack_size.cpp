#include "launch/cluster/pack_size.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Device.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "trainer/assembly.h"
#include "trainer/trainer.h"

namespace elbow::launch::cluster {
namespace {

constexpr int64_t kMostRows = 1024;
constexpr int kWarmUpSteps = 2, kSteps = 6;
constexpr double kClearly = 1.1;
constexpr int kConfirmations = 2;

double memory_bytes(at::Device device) {
  if (!device.is_cpu()) {
    const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return static_cast<double>(stats.allocated_bytes[0].current);  // over all sizes
  }
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::optional<PackSpeed> speed_of_pack(const trainer::Settings& settings,
                                       const trainer::Dataset& data, comm::Communicator& ranks,
                                       trainer::ThreadTeam& team, at::Device device, int64_t rows) {
  using Clock = std::chrono::steady_clock;
  try {
    trainer::Trainer trainer(settings,
                             std::vector(rows, trainer::row_of(settings, data.observed())), data,
                             ranks, team, device);
    trainer.run_steps(kWarmUpSteps);
    const auto start = Clock::now();
    trainer.run_steps(kSteps);
    const std::chrono::duration<double> seconds = Clock::now() - start;
    return PackSpeed{kSteps / seconds.count(), memory_bytes(device)};
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  }
}

int64_t rows_per_pack(const trainer::Settings& settings, const trainer::Dataset& data,
                      comm::Communicator& ranks, trainer::ThreadTeam& team, at::Device device,
                      int64_t most) {
  most = std::min(most, kMostRows);
  if (most < 2) return 1;
  const auto row_steps = [&](int64_t count) {
    const auto speed = speed_of_pack(settings, data, ranks, team, device, count);
    const double per_s = speed ? speed->steps_per_s * static_cast<double>(count) : 0;
    auto rate = at::full({1}, per_s, at::kDouble);
    ranks.broadcast(rate, /*root=*/0);
    return rate.item<double>();
  };
  int64_t rows = 1;
  double best = row_steps(rows);
  for (int64_t next = 2; next <= most; next *= 2) {
    double found = row_steps(next);
    // A moment of other work on the machine is no reason for a larger pack: seen again, in turn.
    for (int again = 0; again < kConfirmations && found >= kClearly * best; ++again) {
      best = std::max(best, row_steps(rows));
      found = std::min(found, row_steps(next));
    }
    if (found < kClearly * best) break;
    best = found;
    rows = next;
  }
  return rows;
}

}  // namespace elbow::launch::cluster
