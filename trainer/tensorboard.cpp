#include "trainer/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <vector>

namespace elbow::trainer {
namespace {

constexpr const char* kBegin = "events.out.tfevents.";

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A name that sorts by time, and that no other launch has.
std::filesystem::path new_file(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const auto stem = fmt::format("{}{:010}.{}.elbow", kBegin, static_cast<int64_t>(now()), getpid());
  auto file = folder / stem;
  for (int copy = 1; std::filesystem::exists(file); ++copy)
    file = folder / fmt::format("{}.{}", stem, copy);
  return file;
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& folder, int64_t first_step)
    : file_(new_file(folder)) {
  file_.write(version_event(now()));
  file_.write(session_start_event({.wall = now(), .step = first_step}));
}

void EventLog::scalars(int64_t step, const NamedScalars& scalars) {
  file_.write(scalars_event({.wall = now(), .step = step}, scalars));
}

void EventLog::image(int64_t step, const std::string& tag, const EventImage& image) {
  file_.write(image_event({.wall = now(), .step = step}, tag, image));
}

void EventLog::histogram(int64_t step, const std::string& tag, const Histogram& histogram) {
  file_.write(histogram_event({.wall = now(), .step = step}, tag, histogram));
}

void EventLog::hparams(const HyperParameters& parameters, const std::vector<MetricName>& metrics,
                       const std::string& name) {
  file_.write(hparams_experiment_event(now(), parameters, metrics));
  file_.write(hparams_start_event(now(), parameters, name));
}

void truncate_events(const std::filesystem::path& folder, int64_t step) {
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, missing)) {
    if (entry.is_regular_file() && entry.path().filename().string().starts_with(kBegin))
      files.push_back(entry.path());
  }
  for (const auto& file : files) {
    const auto left = truncate_records(
        file, [&](std::string_view event) { return step_of_event(event) <= step; });
    if (left <= 1) std::filesystem::remove(file);  // the version alone
  }
}

}  // namespace elbow::trainer
