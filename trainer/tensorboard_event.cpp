#include "trainer/tensorboard_event.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/protobuf_message.h"

namespace elbow::trainer {
namespace {

enum HParamType : int64_t { kString = 1, kBool = 2, kNumber = 3 };

ProtobufMessage event_at(const EventTime& time) {
  ProtobufMessage event;
  event.real(1, time.wall).integer(2, time.step);
  return event;
}

std::string summary_event(const EventTime& time, const ProtobufMessage& value) {
  ProtobufMessage summary;
  summary.message(1, value);
  return event_at(time).message(5, summary).bytes();
}

// HParamsPluginData as the metadata of a summary without a value of its own.
std::string hparams_event(double wall, const char* tag, uint32_t field,
                          const ProtobufMessage& content) {
  ProtobufMessage data, plugin, metadata, value;
  data.integer(1, 0).message(field, content);
  plugin.text(1, "hparams").text(2, data.bytes());
  metadata.message(1, plugin);
  value.text(1, tag).message(9, metadata);
  return summary_event({.wall = wall}, value);
}

}  // namespace

std::string version_event(double wall) {
  ProtobufMessage event;
  return event.real(1, wall).text(3, "brain.Event:2").bytes();
}

std::string session_start_event(const EventTime& time) {
  ProtobufMessage log;
  log.integer(1, /*START=*/1);
  return event_at(time).message(7, log).bytes();
}

std::string scalars_event(const EventTime& time, const NamedScalars& scalars) {
  ProtobufMessage summary;
  for (const auto& [tag, number] : scalars) {
    ProtobufMessage value;
    value.text(1, tag).single(2, static_cast<float>(number));
    summary.message(1, value);
  }
  return event_at(time).message(5, summary).bytes();
}

std::string image_event(const EventTime& time, const std::string& tag, const EventImage& image) {
  ProtobufMessage encoded, value;
  encoded.integer(1, image.height).integer(2, image.width).integer(3, /*RGB=*/3);
  encoded.text(4, image.png);
  value.text(1, tag).message(4, encoded);
  return summary_event(time, value);
}

Histogram histogram_of(const float* values, int64_t count, int64_t buckets) {
  Histogram h{.smallest = std::numeric_limits<double>::max(),
              .largest = std::numeric_limits<double>::lowest()};
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    const double value = values[i];
    h.smallest = std::min(h.smallest, value);
    h.largest = std::max(h.largest, value);
    h.count += 1;
    h.sum += value;
    h.square_sum += value * value;
  }
  if (h.count == 0) return {};
  const double width = (h.largest - h.smallest) / static_cast<double>(buckets);
  if (!(width > 0)) {
    h.limits = {h.largest};
    h.counts = {h.count};
    return h;
  }
  for (int64_t b = 1; b <= buckets; ++b)
    h.limits.push_back(b == buckets ? h.largest : h.smallest + width * static_cast<double>(b));
  h.counts.assign(buckets, 0.0);
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    const auto bucket = static_cast<int64_t>((values[i] - h.smallest) / width);
    h.counts[std::clamp<int64_t>(bucket, 0, buckets - 1)] += 1;
  }
  return h;
}

std::string histogram_event(const EventTime& time, const std::string& tag,
                            const Histogram& histogram) {
  ProtobufMessage counts, value;
  counts.real(1, histogram.smallest).real(2, histogram.largest).real(3, histogram.count);
  counts.real(4, histogram.sum).real(5, histogram.square_sum);
  counts.reals(6, histogram.limits).reals(7, histogram.counts);
  value.text(1, tag).message(5, counts);
  return summary_event(time, value);
}

std::string hparams_experiment_event(double wall, const HyperParameters& parameters,
                                     const std::vector<MetricName>& metrics) {
  ProtobufMessage experiment;
  experiment.real(3, wall);
  for (const auto& [key, value] : parameters) {
    constexpr HParamType kTypes[] = {kString, kBool, kNumber};  // as in HyperParameter
    ProtobufMessage info;
    info.text(1, key).integer(4, kTypes[value.index()]);
    experiment.message(4, info);
  }
  for (const auto& metric : metrics) {
    ProtobufMessage name, info;
    name.text(1, metric.run).text(2, metric.tag);
    info.message(1, name);
    experiment.message(5, info);
  }
  return hparams_event(wall, "_hparams_/experiment", 2, experiment);
}

std::string hparams_start_event(double wall, const HyperParameters& parameters,
                                const std::string& name) {
  ProtobufMessage start;
  for (const auto& [key, value] : parameters) {
    ProtobufMessage stored, entry;
    if (const auto* number = std::get_if<double>(&value)) stored.real(2, *number);
    if (const auto* text = std::get_if<std::string>(&value)) stored.text(3, *text);
    if (const auto* flag = std::get_if<bool>(&value)) stored.integer(4, *flag ? 1 : 0);
    entry.text(1, key).message(2, stored);
    start.message(1, entry);
  }
  start.text(4, name).real(5, wall);
  return hparams_event(wall, "_hparams_/session_start_info", 3, start);
}

int64_t step_of_event(std::string_view event) {
  // wall_time (field 1, 8 bytes) comes first and step (field 2) right after it, as written above.
  constexpr size_t kStep = 9;
  if (event.size() <= kStep + 1 || event[0] != 0x09 || event[kStep] != 0x10) return 0;
  uint64_t step = 0;
  for (size_t i = 0; i < 10 && kStep + 1 + i < event.size(); ++i) {
    const auto byte = static_cast<uint8_t>(event[kStep + 1 + i]);
    step |= uint64_t{byte & 0x7fU} << (7 * i);
    if (byte < 0x80) break;
  }
  return static_cast<int64_t>(step);
}

}  // namespace elbow::trainer
