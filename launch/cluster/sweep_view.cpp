#include "launch/cluster/sweep_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "launch/duration_text.h"
#include "launch/terminal.h"

namespace elbow::launch::cluster {
namespace {

constexpr std::chrono::seconds kLinePause{30};
constexpr size_t kMostGroups = 16;  // lines of them
constexpr int64_t kWidestBar = 20;  // rows of a group that are drawn one by one

double examples_per_s(const SweepStatus& status) {
  double sum = 0;
  for (const auto& group : status.groups)
    if (!group.left && group.running > 0) sum += group.examples_per_s;
  return sum;
}

// ", 61000 examples/s"; nothing before the first epoch.
std::string rate_text(const char* separator, double rate) {
  return rate > 0 ? fmt::format("{}{:.0f} examples/s", separator, rate) : "";
}

// By the epochs that this launch has measured; nothing before the first.
std::string time_left(const SweepMoment& moment) {
  const auto& status = moment.status;
  if (status.epochs == 0 || moment.epochs_per_trial <= 0 || moment.measured_seconds <= 0) return "";
  const double rate = static_cast<double>(status.epochs) / moment.measured_seconds;
  const double open =
      static_cast<double>(status.running) / 2 + static_cast<double>(status.waiting());
  const double since = moment.seconds - moment.measured_seconds;
  return duration_text(std::max(0.0, open * moment.epochs_per_trial / rate - since)) + " left";
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

// "[##..] 2/4 rows, 30000 examples/s".
std::string group_text(const SweepStatus::GroupStatus& group) {
  if (group.left) return "gone";
  if (group.rows == 0) return "makes ready";
  const int64_t width = std::min(group.rows, kWidestBar);
  const auto full = static_cast<size_t>((group.running * width + group.rows - 1) / group.rows);
  return fmt::format("[{}{}] {}/{} rows{}", std::string(full, '#'),
                     std::string(static_cast<size_t>(width) - full, '.'), group.running, group.rows,
                     group.running > 0 ? rate_text(", ", group.examples_per_s) : "");
}

}  // namespace

std::string sweep_line(const SweepMoment& moment) {
  std::string line = counts_text(moment.status);
  line += rate_text("; ", examples_per_s(moment.status));
  if (const auto left = time_left(moment); !left.empty()) line += "; " + left;
  if (const auto best = best_text(moment); !best.empty()) line += "; " + best;
  return line;
}

std::string sweep_table(const SweepMoment& moment, int columns) {
  const auto& status = moment.status;
  std::vector<std::string> lines;
  lines.push_back(counts_text(status));
  const auto left = time_left(moment);
  lines.push_back(duration_text(moment.seconds) + " so far" +
                  rate_text("; ", examples_per_s(status)) + (left.empty() ? "" : "; " + left));
  if (status.best) lines.push_back(best_text(moment));
  for (size_t i = 0; i < std::min(status.groups.size(), kMostGroups); ++i)
    lines.push_back(fmt::format("group {:<4} {}", i, group_text(status.groups[i])));
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
  if (style_ == ProgressStyle::kBar && report_stream() == stderr) {
    draw(sentence + "\n");
    return;
  }
  const bool table = !table_.empty();
  const auto kept = std::exchange(table_, "");
  if (table) draw("");
  std::FILE* stream = style_ == ProgressStyle::kNone ? stderr : report_stream();
  std::fprintf(stream, "%s%s\n", style_ == ProgressStyle::kNone ? "elbow: " : "", sentence.c_str());
  std::fflush(stream);
  table_ = kept;
  if (table) draw("");
}

void SweepView::show(const SweepMoment& moment) {
  const std::lock_guard lock(mutex_);
  if (style_ == ProgressStyle::kBar) {
    table_ = sweep_table(moment, terminal_columns().value_or(80));
    draw("");
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (style_ == ProgressStyle::kNone || now - shown_ < kLinePause) return;
  shown_ = now;
  std::fprintf(report_stream(), "%s\n", sweep_line(moment).c_str());
  std::fflush(report_stream());
}

void SweepView::end() {
  const std::lock_guard lock(mutex_);
  table_.clear();
  draw("");
}

// Wipes the table that stands on the terminal, and draws the present one below what comes before
// it: in one piece, so that nothing flickers.
void SweepView::draw(const std::string& before) {
  const std::string text =
      (lines_ > 0 ? fmt::format("\x1b[{}A\r\x1b[J", lines_) : std::string()) + before + table_;
  lines_ = static_cast<int>(std::ranges::count(table_, '\n'));
  if (text.empty()) return;
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace elbow::launch::cluster
