// metrics.jsonl: one JSON object a line, appended as the run goes. A line is one write, so that a
// reader, and a crash, see whole lines. A disk that refuses does not end a run: lines wait for the
// next try. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "trainer/observer.h"

namespace elbow::trainer {

// One line without its newline. JSON has no NaN: a number that is not finite is null, and
// `nonfinite` lists its name.
std::string metrics_line(const SplitMetrics& metrics);

// The reverse; nothing where the line is anything else.
std::optional<SplitMetrics> metrics_of_line(std::string_view line);

// Where the last whole line of the first `limit` bytes of `text` ends.
uint64_t end_of_lines(std::string_view text, uint64_t limit);

// How the lines that come before epoch `epoch` end, and those of that epoch after them. Lines that
// are none, and whatever comes after them, are left out.
struct EpochLines {
  uint64_t begin = 0;
  uint64_t end = 0;
  size_t lines = 0;
};
EpochLines lines_of_epoch(std::string_view text, int64_t epoch);

class MetricsLog {
 public:
  // Makes the file, or keeps the whole lines of its first `keep_bytes`. Throws std::runtime_error
  // naming file and reason.
  MetricsLog(const std::filesystem::path& file, uint64_t keep_bytes);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // Appends a line, and those that still wait. False where the disk refuses.
  bool write(const SplitMetrics& metrics);
  bool flush();
  const std::string& failure() const { return failure_; }  // why the last try was refused, or ""

  uint64_t bytes() const { return bytes_; }  // that lie in the file
  void truncate(uint64_t keep_bytes);        // to whole lines; those that wait are dropped

  // For a rank that takes the log over: the last lines become those of epoch `epoch`, which are
  // `metrics`. What was written beyond them is removed, what was not is added.
  void end_with(int64_t epoch, std::span<const SplitMetrics> metrics);

 private:
  std::string stored() const;
  bool refuse(const std::string& reason);

  std::filesystem::path file_;
  int descriptor_;
  uint64_t bytes_ = 0;
  std::string waiting_;
  std::string failure_;
};

}  // namespace elbow::trainer
