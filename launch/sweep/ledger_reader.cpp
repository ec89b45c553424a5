#include "launch/sweep/ledger_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "launch/sweep/journal_format.h"
#include "launch/sweep/ledger_lines.h"

namespace elbow::launch::sweep {
namespace {

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
      if (attribute && !is_reserved(name)) event.attributes[name] = *attribute;
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
      if (attribute && !is_reserved(name)) contents_.apply(AttributeSet{*trial, name, *attribute});
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

}  // namespace elbow::launch::sweep
