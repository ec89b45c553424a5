#include "trainer/metrics_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "trainer/error.h"
#include "trainer/file_bytes.h"
#include "trainer/metrics_json.h"

namespace elbow::trainer {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* reason) {
  throw std::runtime_error(fmt::format("cannot write {}: {}", file.string(), reason));
}

}  // namespace

std::string metrics_line(const SplitMetrics& metrics) { return metrics_json(metrics).dump(); }

std::optional<SplitMetrics> metrics_of_line(std::string_view line) {
  const auto json =
      nlohmann::ordered_json::parse(line, /*callback=*/nullptr, /*allow_exceptions=*/false);
  try {
    return metrics_from_json(json);
  } catch (const DataError&) {
    return std::nullopt;
  }
}

uint64_t end_of_lines(std::string_view text, uint64_t limit) {
  const size_t last = text.substr(0, limit).rfind('\n');
  return last == std::string_view::npos ? 0 : last + 1;
}

EpochLines lines_of_epoch(std::string_view text, int64_t epoch) {
  EpochLines result;
  while (result.end < text.size()) {
    const size_t newline = text.find('\n', result.end);
    if (newline == std::string_view::npos) break;
    const auto metrics = metrics_of_line(text.substr(result.end, newline - result.end));
    if (!metrics || metrics->epoch > epoch) break;
    result.end = newline + 1;
    if (metrics->epoch == epoch) {
      ++result.lines;
    } else {
      result.begin = result.end;
      result.lines = 0;
    }
  }
  return result;
}

MetricsLog::MetricsLog(const std::filesystem::path& file, uint64_t keep_bytes)
    : file_(file),
      descriptor_(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail(file_, std::strerror(errno));
  truncate(keep_bytes);
}

MetricsLog::~MetricsLog() { close(descriptor_); }

std::string MetricsLog::stored() const {
  const auto bytes = read_file(file_);
  return {bytes.begin(), bytes.end()};
}

void MetricsLog::truncate(uint64_t keep_bytes) {
  bytes_ = end_of_lines(stored(), keep_bytes);
  waiting_.clear();
  if (ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) fail(file_, std::strerror(errno));
}

void MetricsLog::end_with(int64_t epoch, std::span<const SplitMetrics> metrics) {
  const auto lines = lines_of_epoch(stored(), epoch);
  const bool whole = lines.lines == metrics.size();
  truncate(whole ? lines.end : lines.begin);
  if (whole) return;
  for (const auto& line : metrics) write(line);
}

bool MetricsLog::write(const SplitMetrics& metrics) {
  waiting_ += metrics_line(metrics) + "\n";
  return flush();
}

bool MetricsLog::flush() {
  failure_.clear();
  if (waiting_.empty()) return true;
  // A file that was removed would still take lines that nobody can read.
  struct stat opened, named;
  if (fstat(descriptor_, &opened) != 0 || stat(file_.c_str(), &named) != 0)
    return refuse(std::strerror(errno));
  if (opened.st_ino != named.st_ino) return refuse("it was replaced");
  const ssize_t count = ::write(descriptor_, waiting_.data(), waiting_.size());
  if (count < 0) return refuse(std::strerror(errno));
  if (static_cast<size_t>(count) != waiting_.size()) {
    const int undone = ftruncate(descriptor_, static_cast<off_t>(bytes_));
    return refuse(undone == 0 ? "the disk is full" : "the disk is full, and a line is torn");
  }
  bytes_ += waiting_.size();
  waiting_.clear();
  return true;
}

bool MetricsLog::refuse(const std::string& reason) {
  failure_ = fmt::format("cannot write {}: {}", file_.string(), reason);
  return false;
}

}  // namespace elbow::trainer
