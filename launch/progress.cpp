#include "launch/progress.h"

#include <cstdio>
#include <optional>
#include <string>

#include "launch/progress_text.h"
#include "launch/terminal.h"

namespace elbow::launch {
namespace {

void print_line(const std::string& line) {
  std::fprintf(report_stream(), "%s\n", line.c_str());
  std::fflush(report_stream());
}

class NoProgress : public trainer::Observer {
 public:
  void on_step(const trainer::StepProgress&) override {}
  void on_epoch(const trainer::SplitMetrics&, const trainer::SplitMetrics&) override {}
  void on_note(const std::string& sentence) override {
    std::fprintf(stderr, "elbow: %s\n", sentence.c_str());
  }
};

class PlainProgress : public trainer::Observer {
 public:
  explicit PlainProgress(int64_t epochs) : epochs_(epochs) {}

  void on_step(const trainer::StepProgress&) override {}
  void on_epoch(const trainer::SplitMetrics& train,
                const trainer::SplitMetrics& held_out) override {
    print_line(epoch_line(train, held_out, epochs_));
  }
  void on_note(const std::string& sentence) override { print_line(sentence); }

 private:
  int64_t epochs_;
};

class BarProgress : public trainer::Observer {
 public:
  explicit BarProgress(int64_t epochs) : epochs_(epochs) {}
  ~BarProgress() override { wipe(); }

  void on_step(const trainer::StepProgress& progress) override {
    // The last column stays free: a terminal may wrap once it is filled.
    bar_ = bar_line(progress, columns() - 1, held_out_);
    draw();
  }
  void on_epoch(const trainer::SplitMetrics& train,
                const trainer::SplitMetrics& held_out) override {
    held_out_ = held_out;
    const auto whole = epoch_line(train, held_out, epochs_);
    wipe();
    print_line(whole.size() < static_cast<size_t>(columns())
                   ? whole
                   : short_epoch_line(train, held_out, epochs_));
    draw();
  }
  void on_note(const std::string& sentence) override {
    wipe();
    print_line(sentence);
    draw();
  }

 private:
  static int columns() {
    constexpr int kUsual = 80;
    return terminal_columns().value_or(kUsual);
  }
  void draw() {
    if (bar_.empty()) return;
    std::fprintf(stderr, "\r%s\x1b[K", bar_.c_str());
    std::fflush(stderr);
  }
  void wipe() {
    if (bar_.empty()) return;
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
  }

  int64_t epochs_;
  std::string bar_;
  std::optional<trainer::SplitMetrics> held_out_;  // of the last epoch
};

}  // namespace

std::unique_ptr<trainer::Observer> make_progress(ProgressStyle style, int64_t epochs) {
  if (style == ProgressStyle::kAuto)
    style = terminal_columns() ? ProgressStyle::kBar : ProgressStyle::kPlain;
  if (style == ProgressStyle::kBar) return std::make_unique<BarProgress>(epochs);
  if (style == ProgressStyle::kPlain) return std::make_unique<PlainProgress>(epochs);
  return std::make_unique<NoProgress>();
}

}  // namespace elbow::launch
