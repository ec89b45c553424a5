// TensorBoard's events as bytes (tensorboard/compat/proto: event.proto, summary.proto, and
// plugins/hparams/{api,plugin_data}.proto), one record each. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace elbow::trainer {

struct EventTime {
  double wall = 0;   // seconds since 1970
  int64_t step = 0;  // optimizer steps made
};

std::string version_event(double wall);  // must be the first of a file
// Says that what is logged from `time.step` on replaces what an earlier launch logged there.
std::string session_start_event(const EventTime& time);

using NamedScalars = std::vector<std::pair<std::string, double>>;
std::string scalars_event(const EventTime& time, const NamedScalars& scalars);

struct EventImage {
  int64_t height = 0;
  int64_t width = 0;
  std::string png;
};
std::string image_event(const EventTime& time, const std::string& tag, const EventImage& image);

// Counts in equal buckets between the smallest and the largest value; those that are not finite are
// left out.
struct Histogram {
  double smallest = 0, largest = 0, count = 0, sum = 0, square_sum = 0;
  std::vector<double> limits;  // upper edges, increasing
  std::vector<double> counts;
};
Histogram histogram_of(const float* values, int64_t count, int64_t buckets = 40);
std::string histogram_event(const EventTime& time, const std::string& tag,
                            const Histogram& histogram);

// Hyper-parameters: one experiment that names all keys and metrics, so that a dashboard drops none.
using HyperParameter = std::variant<std::string, bool, double>;
using HyperParameters = std::vector<std::pair<std::string, HyperParameter>>;
struct MetricName {
  std::string run;  // folder of the events, relative to the hparams' own
  std::string tag;
};
std::string hparams_experiment_event(double wall, const HyperParameters& parameters,
                                     const std::vector<MetricName>& metrics);
std::string hparams_start_event(double wall, const HyperParameters& parameters,
                                const std::string& name);

// The step that an event carries; 0 where it carries none.
int64_t step_of_event(std::string_view event);

}  // namespace elbow::trainer
