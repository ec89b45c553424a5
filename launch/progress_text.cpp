#include "launch/progress_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "launch/duration_text.h"

namespace elbow::launch {
namespace {

int64_t steps_of_run(const trainer::StepProgress& p) { return p.epochs * p.steps_per_epoch; }

int64_t step_in_run(const trainer::StepProgress& p) {
  return (p.epoch - 1) * p.steps_per_epoch + p.step_in_epoch;
}

double share_done(const trainer::StepProgress& p) {
  if (steps_of_run(p) <= 0) return 0;
  const double share = static_cast<double>(step_in_run(p)) / static_cast<double>(steps_of_run(p));
  return std::clamp(share, 0.0, 1.0);
}

std::string epoch_text(int64_t epoch, int64_t epochs) {
  const auto digits = static_cast<int>(std::to_string(epochs).size());
  return fmt::format("epoch {:>{}}/{}", epoch, digits, epochs);
}

std::string split_text(const trainer::SplitMetrics& m) {
  return fmt::format("{} loss {:.4f} recon {:.2f} kl {:.2f}", m.split, m.loss, m.recon_nats,
                     m.kl_nats);
}

}  // namespace

std::string epoch_line(const trainer::SplitMetrics& train, const trainer::SplitMetrics& held_out,
                       int64_t epochs) {
  return fmt::format(
      "{}  {} | {} | mu {:.3f} sd {:.3f} sigma {:.3f} sd {:.3f} | {:.1f} s {:.0f} "
      "examples/s",
      epoch_text(train.epoch, epochs), split_text(train), split_text(held_out), held_out.mu_mean,
      held_out.mu_std, held_out.sigma_mean, held_out.sigma_std, train.seconds + held_out.seconds,
      train.examples_per_s);
}

std::string short_epoch_line(const trainer::SplitMetrics& train,
                             const trainer::SplitMetrics& held_out, int64_t epochs) {
  return fmt::format("{}  {} {:.4f}  {} {:.4f}  recon {:.2f}  kl {:.2f}  {:.1f} s",
                     epoch_text(train.epoch, epochs), train.split, train.loss, held_out.split,
                     held_out.loss, held_out.recon_nats, held_out.kl_nats,
                     train.seconds + held_out.seconds);
}

std::string bar_line(const trainer::StepProgress& progress, int columns,
                     const std::optional<trainer::SplitMetrics>& held_out) {
  constexpr int kWidest = 30;
  constexpr int kNarrowest = 5;
  constexpr int kFrame = 3;  // "[", "] "
  const double share = share_done(progress);
  const std::string before = fmt::format("epoch {}/{} {:3.0f}% ", progress.epoch, progress.epochs,
                                         std::floor(100 * share));
  std::vector<std::string> words = {
      fmt::format("ETA {}", clock_text(seconds_left(progress))),
      fmt::format("  {:.0f} examples/s", progress.examples_per_s),
      fmt::format("  loss {:.4f}", progress.loss),
  };
  if (held_out) words.push_back(fmt::format("  {} {:.4f}", held_out->split, held_out->loss));
  std::string after;
  for (const auto& word : words) {
    if (static_cast<int>(before.size() + after.size() + word.size()) > columns) break;
    after += word;
  }
  const int room = columns - static_cast<int>(before.size() + after.size()) - kFrame;
  std::string bar;
  if (room >= kNarrowest) {
    const int width = std::min(room, kWidest);
    const int full = static_cast<int>(std::floor(share * width));
    bar = fmt::format("[{:#>{}}{:->{}}] ", "", full, "", width - full);
  }
  return (before + bar + after).substr(0, static_cast<size_t>(std::max(columns, 0)));
}

double seconds_left(const trainer::StepProgress& progress) {
  if (progress.steps_done <= 0) return 0;
  const auto left = static_cast<double>(steps_of_run(progress) - step_in_run(progress));
  return std::max(0.0, left * progress.seconds / static_cast<double>(progress.steps_done));
}

}  // namespace elbow::launch
