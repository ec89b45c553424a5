#include "launch/sweep/ledger_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "launch/number_text.h"

namespace elbow::launch::sweep {
namespace {

void check_attribute(const std::string& name, const Attribute& value) {
  if (is_reserved(name))
    throw std::logic_error(fmt::format("the attribute {} is the ledger's own", name));
  const double* number = std::get_if<double>(&value);
  if (number != nullptr && !std::isfinite(*number))
    throw std::logic_error(fmt::format("the attribute {} is not finite", name));
}

}  // namespace

bool is_reserved(const std::string& attribute) {
  return attribute == "trial" || attribute == "values" || attribute == "seed";
}

bool is_finished(TrialState state) {
  return state != TrialState::kRunning && state != TrialState::kWaiting;
}

std::string name_of(TrialState state) {
  switch (state) {
    case TrialState::kRunning:
      return "running";
    case TrialState::kComplete:
      return "complete";
    case TrialState::kPruned:
      return "pruned";
    case TrialState::kFailed:
      return "failed";
    case TrialState::kWaiting:
      break;
  }
  return "waiting";
}

AxisRange range_of(const Axis& axis) {
  AxisRange range{.key = axis.key(),
                  .scale = axis.scale(),
                  .whole = axis.whole() && axis.scale() != AxisScale::kCategories,
                  .low = axis.low(),
                  .high = axis.high()};
  if (axis.scale() == AxisScale::kCategories) range.categories = axis.categories();
  return range;
}

double place_of(const AxisRange& axis, const std::string& value) {
  constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
  if (axis.scale != AxisScale::kCategories) return number_from_text(value).value_or(kNowhere);
  const auto found = std::find(axis.categories.begin(), axis.categories.end(), value);
  return found == axis.categories.end() ? kNowhere
                                        : static_cast<double>(found - axis.categories.begin());
}

std::optional<double> LedgerTrial::number_attribute(const std::string& name) const {
  const auto found = attributes.find(name);
  const double* number = found == attributes.end() ? nullptr : std::get_if<double>(&found->second);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

std::string LedgerTrial::text_attribute(const std::string& name) const {
  const auto found = attributes.find(name);
  const auto* text = found == attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
  return text == nullptr ? "" : *text;
}

const LedgerTrial* LedgerContents::find(int64_t number) const {
  const auto found = places_.find(number);
  return found == places_.end() ? nullptr : &trials[found->second];
}

int64_t LedgerContents::count(TrialState state) const {
  return std::count_if(trials.begin(), trials.end(),
                       [&](const LedgerTrial& trial) { return trial.state == state; });
}

LedgerTrial& LedgerContents::running(int64_t number) {
  const auto found = places_.find(number);
  if (found == places_.end()) throw std::logic_error(fmt::format("trial {} has not begun", number));
  LedgerTrial& trial = trials[found->second];
  if (is_finished(trial.state))
    throw std::logic_error(fmt::format("trial {} is {}", number, name_of(trial.state)));
  return trial;
}

void LedgerContents::apply(const Event& event) {
  std::visit([this](const auto& one) { apply_one(one); }, event);
}

void LedgerContents::apply_one(const TrialStarted& event) {
  if (places_.contains(event.trial))
    throw std::logic_error(fmt::format("trial {} has begun already", event.trial));
  if (event.trial < 0 || event.values.size() != head.axes.size())
    throw std::logic_error(fmt::format("trial {} has {} values for {} axes", event.trial,
                                       event.values.size(), head.axes.size()));
  for (size_t i = 0; i < event.values.size(); ++i) {
    if (std::isnan(place_of(head.axes[i], event.values[i])))
      throw std::logic_error(
          fmt::format("{} has no value '{}'", head.axes[i].key, event.values[i]));
  }
  for (const auto& [name, value] : event.attributes) check_attribute(name, value);
  places_.emplace(event.trial, trials.size());
  trials.push_back({.number = event.trial,
                    .journal_id = journal_trials++,
                    .values = event.values,
                    .seed = event.seed,
                    .attributes = event.attributes,
                    .started = event.time});
}

void LedgerContents::apply_one(const EpochReported& event) {
  LedgerTrial& trial = running(event.trial);
  if (std::isfinite(event.value)) {
    trial.by_epoch[event.epoch] = event.value;
    tells.push_back(event);
  } else {
    trial.attributes["nonfinite_epoch"] = static_cast<double>(event.epoch);
  }
}

void LedgerContents::apply_one(const AttributeSet& event) {
  check_attribute(event.name, event.value);
  running(event.trial).attributes[event.name] = event.value;
}

void LedgerContents::apply_one(const TrialFinished& event) {
  LedgerTrial& trial = running(event.trial);
  const bool has_value = event.value && std::isfinite(*event.value);
  if (!is_finished(event.state) || (event.state == TrialState::kComplete && !has_value))
    throw std::logic_error(fmt::format("trial {} cannot end as {} without a finite value",
                                       event.trial, name_of(event.state)));
  trial.state = event.state;
  if (has_value) trial.value = event.value;
  trial.finished = event.time;
}

}  // namespace elbow::launch::sweep
