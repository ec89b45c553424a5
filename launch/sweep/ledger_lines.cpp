#include "launch/sweep/ledger_lines.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "launch/number_text.h"

namespace elbow::launch::sweep {
namespace {

using Json = nlohmann::ordered_json;

enum class Operation : int {
  kCreateStudy = 0,
  kDeleteStudy = 1,
  kStudyAttribute = 2,
  kStudySystemAttribute = 3,
  kCreateTrial = 4,
  kTrialParameter = 5,
  kTrialState = 6,
  kIntermediateValue = 7,
  kTrialAttribute = 8,
  kTrialSystemAttribute = 9,
};

constexpr int kMinimise = 1, kMaximise = 2;  // Optuna's StudyDirection
constexpr const char* kOwnAttribute = "elbow";
constexpr const char* kScaleNames[] = {"linear", "logarithmic", "categories"};

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

// Optuna's internal value: the number, or the index of the category.
double internal_value(const AxisRange& axis, const std::string& value) {
  if (axis.scale != AxisScale::kCategories) {
    const auto number = number_from_text(value);
    if (!number) throw std::logic_error(fmt::format("{} = '{}' is no number", axis.key, value));
    return *number;
  }
  const auto found = std::find(axis.categories.begin(), axis.categories.end(), value);
  if (found == axis.categories.end())
    throw std::logic_error(fmt::format("{} has no value '{}'", axis.key, value));
  return static_cast<double>(found - axis.categories.begin());
}

Json axis_json(const AxisRange& axis) {
  return {{"key", axis.key},     {"scale", kScaleNames[static_cast<size_t>(axis.scale)]},
          {"whole", axis.whole}, {"low", axis.low},
          {"high", axis.high},   {"categories", axis.categories}};
}

AxisRange axis_from(const Json& json) {
  const std::string scale = json.at("scale");
  const auto* name = std::find(std::begin(kScaleNames), std::end(kScaleNames), scale);
  if (name == std::end(kScaleNames)) throw DamagedLedger("an axis has an unknown scale");
  return {.key = json.at("key"),
          .scale = static_cast<AxisScale>(name - std::begin(kScaleNames)),
          .whole = json.at("whole"),
          .low = json.at("low"),
          .high = json.at("high"),
          .categories = json.at("categories")};
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
    params[axis.key] = internal_value(axis, event.values.at(i));
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

// --- Lines as events -----------------------------------------------------------------------------

int64_t whole(const Json& json) {
  const bool fits = json.is_number_integer() &&
                    (!json.is_number_unsigned() ||
                     json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  if (!fits) throw DamagedLedger("a number is not whole");
  return json.get<int64_t>();
}

std::optional<Attribute> attribute_from(const Json& json) {
  if (json.is_number()) return Attribute(json.get<double>());
  if (json.is_string()) return Attribute(json.get<std::string>());
  return std::nullopt;
}

class Reader {
 public:
  void read(const Json& json) {
    switch (static_cast<Operation>(whole(json.at("op_code")))) {
      case Operation::kCreateStudy:
        return create_study(json);
      case Operation::kDeleteStudy:
        if (is_ours(json)) throw DamagedLedger("the study was deleted");
        return;
      case Operation::kStudyAttribute:
        return study_attribute(json);
      case Operation::kCreateTrial:
        return create_trial(json);
      case Operation::kTrialState:
        return finish(json);
      case Operation::kIntermediateValue:
        return report(json);
      case Operation::kTrialAttribute:
        return attribute(json);
      case Operation::kStudySystemAttribute:
      case Operation::kTrialParameter:
      case Operation::kTrialSystemAttribute:
        return;
    }
    throw DamagedLedger("the operation is unknown");
  }

  LedgerContents take() {
    if (!head_known_) throw DamagedLedger("the lines that begin a ledger of elbow are missing");
    return std::move(contents_);
  }

 private:
  static bool is_ours(const Json& json) { return whole(json.at("study_id")) == 0; }

  void create_study(const Json& json) {
    if (studies_++ > 0) return;
    const auto& directions = json.at("directions");
    if (directions.size() != 1) throw DamagedLedger("the study has not one direction");
    contents_.head.name = json.at("study_name");
    contents_.head.larger_is_better = whole(directions.at(0)) == kMaximise;
  }

  void study_attribute(const Json& json) {
    const auto& attributes = json.at("user_attr");
    if (!is_ours(json) || !attributes.contains(kOwnAttribute) || head_known_) return;
    const auto& own = attributes.at(kOwnAttribute);
    contents_.head.metric = own.at("metric");
    contents_.head.fingerprint = own.at("fingerprint");
    contents_.head.shard = own.at("shard");
    for (const auto& axis : own.at("axes")) contents_.head.axes.push_back(axis_from(axis));
    head_known_ = true;
  }

  void create_trial(const Json& json) {
    const int64_t journal_id = contents_.journal_trials;
    const auto* attributes = json.contains("user_attrs") ? &json.at("user_attrs") : nullptr;
    if (!head_known_ || !is_ours(json) || attributes == nullptr || !attributes->contains("trial")) {
      ++contents_.journal_trials;  // somebody else's
      return;
    }
    TrialStarted event{.trial = whole(attributes->at("trial")),
                       .values = {},
                       .seed = whole(attributes->at("seed")),
                       .time = time_at(json, "datetime_start")};
    for (const AxisRange& axis : contents_.head.axes)
      event.values.push_back(attributes->at("values").at(axis.key));
    for (const auto& [name, value] : attributes->items()) {
      const auto attribute = attribute_from(value);
      if (attribute && name != "trial" && name != "seed") event.attributes[name] = *attribute;
    }
    contents_.apply(event);
    numbers_[journal_id] = event.trial;
  }

  // Our number of a trial that is not finished: whatever comes after that, Optuna ignores too.
  std::optional<int64_t> open_trial(const Json& json) const {
    const auto found = numbers_.find(whole(json.at("trial_id")));
    if (found == numbers_.end() || is_finished(contents_.find(found->second)->state))
      return std::nullopt;
    return found->second;
  }

  void finish(const Json& json) {
    const int64_t state = whole(json.at("state"));
    if (state < 0 || state > 4) throw DamagedLedger("the state is unknown");
    const auto trial = open_trial(json);
    if (!trial || !is_finished(static_cast<TrialState>(state))) return;
    const auto& values = json.at("values");
    std::optional<double> value;
    if (!values.is_null()) value = values.at(0).get<double>();
    contents_.apply(TrialFinished{.trial = *trial,
                                  .state = static_cast<TrialState>(state),
                                  .value = value,
                                  .time = time_at(json, "datetime_complete")});
  }

  void report(const Json& json) {
    const auto trial = open_trial(json);
    const auto& value = json.at("intermediate_value");
    if (trial && !value.is_null())
      contents_.apply(
          EpochReported{.trial = *trial, .epoch = whole(json.at("step")), .value = value});
  }

  void attribute(const Json& json) {
    const auto trial = open_trial(json);
    if (!trial) return;
    for (const auto& [name, value] : json.at("user_attr").items()) {
      const auto attribute = attribute_from(value);
      if (attribute) contents_.apply(AttributeSet{*trial, name, *attribute});
    }
  }

  static Time time_at(const Json& json, const char* name) {
    const auto time = time_from_text(json.at(name).get<std::string>());
    if (!time) throw DamagedLedger(fmt::format("{} is no time", name));
    return *time;
  }

  LedgerContents contents_;
  std::map<int64_t, int64_t> numbers_;  // ours, by journal id
  int64_t studies_ = 0;
  bool head_known_ = false;
};

std::string why_no_line(Reader& reader, std::string_view line) {
  try {
    reader.read(Json::parse(line));
    return "";
  } catch (const Json::parse_error&) {
    return "it is no JSON object";
  } catch (const Json::exception&) {
    return "a member is missing or of another kind";
  } catch (const std::logic_error& error) {
    return error.what();
  } catch (const DamagedLedger& error) {
    return error.what();
  }
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

ReadLedger ledger_from_text(std::string_view text, const std::string& source) {
  Reader reader;
  uint64_t begin = 0;
  for (int64_t number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    const std::string reason = why_no_line(reader, text.substr(begin, end - begin));
    if (!reason.empty()) {
      throw DamagedLedger(
          fmt::format("line {} of the ledger {} is damaged (byte {}): {}; mend or "
                      "remove that line, or restore the file",
                      number, source, begin, reason));
    }
    begin = end + 1;
  }
  try {
    return {reader.take(), begin};
  } catch (const DamagedLedger& error) {
    throw DamagedLedger(fmt::format("{} is no ledger: {}", source, error.what()));
  }
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
