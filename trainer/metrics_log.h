// metrics.jsonl: one JSON object a line, appended as the run goes. A line is one write, so that a reader, and a crash, see
// whole lines.
#pragma once

#include <filesystem>
#include <string>

#include "trainer/observer.h"

namespace elbow::trainer {

// One line without its newline. JSON has no NaN: a number that is not finite is null, and `nonfinite` lists its name.
std::string metrics_line(const SplitMetrics& metrics);

class MetricsLog {
 public:
  explicit MetricsLog(const std::filesystem::path& file);  // appends; throws std::runtime_error naming file and reason
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  void write(const SplitMetrics& metrics);  // throws std::runtime_error

 private:
  std::filesystem::path file_;
  int descriptor_;
};

}  // namespace elbow::trainer
