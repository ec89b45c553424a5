#include "launch/cluster/sweep_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "launch/terminal.h"

namespace elbow::launch::cluster {
namespace {

constexpr std::chrono::milliseconds kTablePause{500};
constexpr std::chrono::seconds kLinePause{30};
constexpr size_t kMostGroups = 16;  // lines of them

std::string duration_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

double examples_per_s(const SweepStatus& status) {
  double sum = 0;
  for (const auto& group : status.groups)
    if (!group.left && group.running > 0) sum += group.examples_per_s;
  return sum;
}

// By the epochs that this launch has measured; nothing before the first.
std::string time_left(const SweepMoment& moment) {
  const auto& status = moment.status;
  if (status.epochs == 0 || moment.epochs_per_trial <= 0) return "";
  const double rate = static_cast<double>(status.epochs) / moment.seconds;
  const double open =
      static_cast<double>(status.running) / 2 + static_cast<double>(status.waiting());
  return duration_text(open * moment.epochs_per_trial / rate) + " left";
}

std::string best_text(const SweepMoment& moment) {
  if (!moment.status.best) return "";
  return fmt::format("best {} {:.6g} of trial {} ({})", moment.metric, moment.status.best_value,
                     *moment.status.best, moment.best);
}

std::string counts_text(const SweepStatus& status) {
  return fmt::format("trials {}/{} complete, {} running, {} pruned, {} failed, {} waiting",
                     status.complete, status.trials, status.running, status.pruned, status.failed,
                     status.waiting());
}

}  // namespace

std::string sweep_line(const SweepMoment& moment) {
  std::string line = counts_text(moment.status);
  line += fmt::format("; {:.0f} examples/s", examples_per_s(moment.status));
  if (const auto left = time_left(moment); !left.empty()) line += "; " + left;
  if (const auto best = best_text(moment); !best.empty()) line += "; " + best;
  return line;
}

std::string sweep_table(const SweepMoment& moment, int columns) {
  const auto& status = moment.status;
  std::vector<std::string> lines;
  lines.push_back(counts_text(status));
  lines.push_back(fmt::format("{} so far; {:.0f} examples/s{}{}", duration_text(moment.seconds),
                              examples_per_s(status), time_left(moment).empty() ? "" : "; ",
                              time_left(moment)));
  if (status.best) lines.push_back(best_text(moment));
  for (size_t i = 0; i < std::min(status.groups.size(), kMostGroups); ++i) {
    const auto& group = status.groups[i];
    const auto full = static_cast<size_t>(group.running);
    const auto free = static_cast<size_t>(std::max<int64_t>(0, group.rows - group.running));
    lines.push_back(
        fmt::format("group {:<4} [{}{}] {}", i, std::string(full, '#'), std::string(free, '.'),
                    group.left ? "gone"
                               : fmt::format("{}/{} rows, {:.0f} examples/s", group.running,
                                             group.rows, group.examples_per_s)));
  }
  if (status.groups.size() > kMostGroups)
    lines.push_back(fmt::format("... and {} groups more", status.groups.size() - kMostGroups));
  std::string table;
  for (const auto& line : lines)
    table += line.substr(0, static_cast<size_t>(std::max(1, columns - 1))) + "\n";
  return table;
}

SweepView::SweepView(ProgressStyle style) : style_(style) {
  if (style == ProgressStyle::kAuto)
    style_ = terminal_columns() ? ProgressStyle::kBar : ProgressStyle::kPlain;
}

SweepView::~SweepView() { end(); }

void SweepView::note(const std::string& sentence) {
  const std::lock_guard lock(mutex_);
  wipe();
  std::FILE* stream = style_ == ProgressStyle::kNone ? stderr : report_stream();
  std::fprintf(stream, "%s%s\n", style_ == ProgressStyle::kNone ? "elbow: " : "", sentence.c_str());
  std::fflush(stream);
  draw();
}

void SweepView::show(const SweepMoment& moment) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const bool table = style_ == ProgressStyle::kBar;
  if (style_ == ProgressStyle::kNone || now - shown_ < (table ? kTablePause : kLinePause)) return;
  shown_ = now;
  if (!table) {
    std::fprintf(report_stream(), "%s\n", sweep_line(moment).c_str());
    std::fflush(report_stream());
    return;
  }
  wipe();
  table_ = sweep_table(moment, terminal_columns().value_or(80));
  draw();
}

void SweepView::end() {
  const std::lock_guard lock(mutex_);
  wipe();
  table_.clear();
}

void SweepView::draw() {
  if (table_.empty()) return;
  std::fputs(table_.c_str(), stderr);
  std::fflush(stderr);
  lines_ = static_cast<int>(std::ranges::count(table_, '\n'));
}

void SweepView::wipe() {
  if (lines_ == 0) return;
  std::fprintf(stderr, "\x1b[%dA\r\x1b[J", lines_);
  std::fflush(stderr);
  lines_ = 0;
}

}  // namespace elbow::launch::cluster
