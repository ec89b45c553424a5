#include "launch/sweep/ledger_lines.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "launch/sweep/journal_format.h"

namespace elbow::launch::sweep {
namespace {

Json operation(Operation code) {
  return {{"op_code", static_cast<int>(code)}, {"worker_id", "elbow"}};
}

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

// --- Axes ----------------------------------------------------------------------------------------

// As optuna.distributions.distribution_to_json() writes it.
std::string distribution(const AxisRange& axis) {
  const bool logarithmic = axis.scale == AxisScale::kLogarithmic;
  Json json;
  if (axis.scale == AxisScale::kCategories) {
    json = {{"name", "CategoricalDistribution"}, {"attributes", {{"choices", axis.categories}}}};
  } else if (axis.whole) {
    json = {{"name", "IntDistribution"},
            {"attributes",
             {{"log", logarithmic},
              {"step", 1},
              {"low", std::llround(axis.low)},
              {"high", std::llround(axis.high)}}}};
  } else {
    json = {{"name", "FloatDistribution"},
            {"attributes",
             {{"step", nullptr}, {"low", axis.low}, {"high", axis.high}, {"log", logarithmic}}}};
  }
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json axis_json(const AxisRange& axis) {
  return {{"key", axis.key},     {"scale", kScaleNames[static_cast<size_t>(axis.scale)]},
          {"whole", axis.whole}, {"low", axis.low},
          {"high", axis.high},   {"categories", axis.categories}};
}

// --- Events as lines -----------------------------------------------------------------------------

Json attribute_json(const Attribute& attribute) {
  return std::visit([](const auto& value) { return Json(value); }, attribute);
}

Json json_of(const TrialStarted& event, const StudyHead& head, int64_t) {
  Json json = operation(Operation::kCreateTrial);
  Json distributions = Json::object(), params = Json::object(), values = Json::object();
  for (size_t i = 0; i < head.axes.size(); ++i) {
    const AxisRange& axis = head.axes[i];
    distributions[axis.key] = distribution(axis);
    params[axis.key] = place_of(axis, event.values.at(i));
    values[axis.key] = event.values.at(i);
  }
  Json attributes;
  attributes["trial"] = event.trial;
  attributes["seed"] = event.seed;
  attributes["values"] = values;
  for (const auto& [name, value] : event.attributes) attributes[name] = attribute_json(value);
  json["study_id"] = 0;
  json["datetime_start"] = time_text(event.time);
  json["state"] = static_cast<int>(TrialState::kRunning);
  json["value"] = nullptr;
  json["values"] = nullptr;
  json["distributions"] = distributions;
  json["params"] = params;
  json["user_attrs"] = attributes;
  json["system_attrs"] = Json::object();
  json["intermediate_values"] = Json::object();
  return json;
}

Json attribute_line(int64_t journal_id, const std::string& name, Json value) {
  Json json = operation(Operation::kTrialAttribute);
  json["trial_id"] = journal_id;
  json["user_attr"] = Json::object({{name, std::move(value)}});
  return json;
}

Json json_of(const EpochReported& event, const StudyHead&, int64_t journal_id) {
  if (!std::isfinite(event.value))
    return attribute_line(journal_id, "nonfinite_epoch", static_cast<double>(event.epoch));
  Json json = operation(Operation::kIntermediateValue);
  json["trial_id"] = journal_id;
  json["step"] = event.epoch;
  json["intermediate_value"] = event.value;
  return json;
}

Json json_of(const AttributeSet& event, const StudyHead&, int64_t journal_id) {
  return attribute_line(journal_id, event.name, attribute_json(event.value));
}

Json json_of(const TrialFinished& event, const StudyHead&, int64_t journal_id) {
  Json json = operation(Operation::kTrialState);
  json["trial_id"] = journal_id;
  json["state"] = static_cast<int>(event.state);
  json["values"] = nullptr;
  if (event.value && std::isfinite(*event.value)) json["values"] = Json::array({*event.value});
  json["datetime_complete"] = time_text(event.time);
  return json;
}

}  // namespace

std::string head_lines(const StudyHead& head) {
  Json study = operation(Operation::kCreateStudy);
  study["study_name"] = head.name;
  study["directions"] = Json::array({head.larger_is_better ? kMaximise : kMinimise});
  Json axes = Json::array();
  for (const AxisRange& axis : head.axes) axes.push_back(axis_json(axis));
  Json own = operation(Operation::kStudyAttribute);
  own["study_id"] = 0;
  Json what;
  what["metric"] = head.metric;
  what["fingerprint"] = head.fingerprint;
  what["shard"] = head.shard;
  what["axes"] = axes;
  own["user_attr"][kOwnAttribute] = what;
  Json metric = operation(Operation::kStudySystemAttribute);  // what Optuna shows it as
  metric["study_id"] = 0;
  metric["system_attr"]["study:metric_names"] = Json::array({head.metric});
  return line_of(study) + line_of(own) + line_of(metric);
}

std::string event_line(const Event& event, const StudyHead& head, int64_t journal_id) {
  return line_of(
      std::visit([&](const auto& one) { return json_of(one, head, journal_id); }, event));
}

std::string time_text(Time time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const int64_t second = micros / 1'000'000 - (micros % 1'000'000 < 0 ? 1 : 0);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06d}", fmt::gmtime(static_cast<std::time_t>(second)),
                     micros - second * 1'000'000);
}

std::optional<Time> time_from_text(const std::string& text) {
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  int64_t micros = 0;
  if (*rest == '.') {
    int64_t unit = 100'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) micros += unit * (*rest - '0');
  }
  constexpr int kFirstYear = 1970 - 1900, kLastYear = 2200 - 1900;
  if (*rest != '\0' || parts.tm_year < kFirstYear || parts.tm_year > kLastYear) return std::nullopt;
  return Time(std::chrono::seconds(timegm(&parts))) + std::chrono::microseconds(micros);
}

}  // namespace elbow::launch::sweep
