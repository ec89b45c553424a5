#include "trainer/metrics_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "trainer/metrics_json.h"

namespace elbow::trainer {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* reason) {
  throw std::runtime_error(fmt::format("cannot write {}: {}", file.string(), reason));
}

}  // namespace

std::string metrics_line(const SplitMetrics& metrics) { return metrics_json(metrics).dump(); }

MetricsLog::MetricsLog(const std::filesystem::path& file)
    : file_(file), descriptor_(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail(file_, std::strerror(errno));
}

MetricsLog::~MetricsLog() { close(descriptor_); }

void MetricsLog::write(const SplitMetrics& metrics) {
  const std::string line = metrics_line(metrics) + "\n";
  const ssize_t count = ::write(descriptor_, line.data(), line.size());
  if (count < 0) fail(file_, std::strerror(errno));
  if (static_cast<size_t>(count) != line.size()) fail(file_, "the disk is full");
}

}  // namespace elbow::trainer
