#include "launch/rank_log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <sstream>
#include <utility>

namespace elbow::launch {
namespace {

constexpr size_t kEarlyLines = 64;

double seconds_since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// When this process began, since boot: field 22 of its stat, in ticks.
double process_start() {
  std::ifstream in("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  constexpr int kFieldsAfterName = 19;  // between the state and the start time
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  double ticks = 0;
  for (int field = 0; field < kFieldsAfterName; ++field) fields >> skipped;
  fields >> ticks;
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

// Lines that a sink that comes later gets too.
struct RankLog::Early {
  std::string prefix;
  double start = process_start();
  std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> lines =
      std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(kEarlyLines);

  void add(spdlog::logger& logger, const spdlog::sink_ptr& sink) const {
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc));
    for (const auto& line : lines->last_raw()) sink->log(line);
    sink->flush();
    logger.sinks().push_back(sink);
  }
};

RankLog::RankLog(int rank, const std::string& host)
    : early_(std::make_unique<Early>()),
      logger_(std::make_shared<spdlog::logger>("rank", early_->lines)) {
  early_->prefix = fmt::format("{} rank {}", host, rank);
  logger_->flush_on(spdlog::level::info);
  logger_->set_error_handler([](const std::string&) {});  // a full disk: the line is left out
}

RankLog::~RankLog() = default;
RankLog::RankLog(RankLog&&) noexcept = default;

void RankLog::tell(const std::string& sentence) {
  if (sentence.empty()) return;
  logger_->info(fmt::format("{} +{:.3f}s  {}", early_->prefix, seconds_since_boot() - early_->start,
                            sentence));
}

void RankLog::show() { early_->add(*logger_, std::make_shared<spdlog::sinks::stderr_sink_mt>()); }

void RankLog::keep(const std::filesystem::path& file) {
  try {
    early_->add(*logger_, std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string()));
  } catch (const spdlog::spdlog_ex& error) {
    tell(error.what());
  }
}

}  // namespace elbow::launch
