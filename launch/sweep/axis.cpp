#include "launch/sweep/axis.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

#include "launch/config_level.h"
#include "launch/nearest_name.h"
#include "launch/number_text.h"
#include "launch/sweep/shape_key.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

constexpr int64_t kMostValues = 100'000;
const std::vector<std::string> kFunctions = {"choice", "linspace", "logspace", "uniform",
                                             "loguniform"};
constexpr const char* kForms =
    "values between commas, choice(a, b), linspace(a, b, n), logspace(a, b, n), uniform(a, b) or "
    "loguniform(a, b)";

struct Call {
  std::string name;  // "" for plain values
  std::string inside;
};

Call call_of(const std::string& text) {
  const size_t open = text.find('(');
  if (open == std::string::npos || !text.ends_with(')')) return {"", text};
  const std::string name(without_outer_blanks(text.substr(0, open)));
  const bool is_name = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_';
  });
  if (!is_name) return {"", text};
  return {name, text.substr(open + 1, text.size() - open - 2)};
}

std::vector<std::string> parts_between(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(without_outer_blanks(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

bool is_number(const Setting& setting) {
  return setting.type == "number" || setting.type == "integer";
}

// Lists hold commas themselves, and so may paths.
std::vector<std::string> values_between_separators(const Setting& setting,
                                                   const std::string& text) {
  const bool commas = setting.type != "text" && !setting.type.starts_with("list");
  return parts_between(text, commas && text.find(';') == std::string::npos ? ',' : ';');
}

}  // namespace

Axis::Axis(const Setting& setting, const std::string& text, const std::string& origin)
    : setting_(&setting), text_(without_outer_blanks(text)), origin_(origin) {
  if (!may_be_axis(setting.key)) {
    refuse(text_, "is for the launch as a whole, not for one trial: it cannot be an axis");
  }
  const Call call = call_of(text_);
  const bool known = std::count(kFunctions.begin(), kFunctions.end(), call.name) > 0;
  if (call.name.empty() || (!known && setting.type == "text")) {
    take_values(values_between_separators(setting, text_));
  } else if (!known) {
    refuse(text_, fmt::format("has an unknown function '{}'{}", shown(call.name),
                              did_you_mean(call.name, kFunctions)));
  } else if (call.name == "choice") {
    take_values(values_between_separators(setting, call.inside));
  } else {
    read_range(call.name, parts_between_commas(call.inside));
  }
  if (setting.type == "text") text_ = fmt::format("{}", fmt::join(values_, "; "));
}

void Axis::refuse(const std::string& value, const std::string& reason) const {
  throw trainer::SettingError(fmt::format("sweep axis {} = {} ({}) {}; allowed: {}, each {}", key(),
                                          shown(value), origin_, reason, kForms,
                                          setting_->allowed));
}

void Axis::check(const std::string& value) const {
  trainer::Settings any;
  try {
    setting_->set(any, value);
  } catch (const BadValue& bad) {
    refuse(text_, fmt::format("has a value '{}' that {}", shown(value), bad.what()));
  }
}

void Axis::take_values(std::vector<std::string> values) {
  if (values.size() > static_cast<size_t>(kMostValues)) refuse(text_, "has too many values");
  for (const std::string& given : values) {
    check(given);
    trainer::Settings any;
    setting_->set(any, given);
    std::string value = setting_->print(any);  // one text for each value: 1e-3 is 0.001
    if (setting_->type == "text" && !value.empty())
      value = std::filesystem::absolute(value).lexically_normal().string();
    if (value == "-0") value.erase(0, 1);  // the same number as 0
    values_.push_back(std::move(value));
  }
  measure();
}

std::vector<std::string> Axis::categories() const {
  std::vector<std::string> once;
  std::set<std::string> known;
  for (const std::string& value : values_)
    if (known.insert(value).second) once.push_back(value);
  return once;
}

std::string Axis::repeated_value() const {
  std::set<std::string> known;
  for (const std::string& value : values_)
    if (!known.insert(value).second) return value;
  return "";
}

void Axis::measure() {
  std::vector<double> numbers;
  for (const std::string& value : values_) {
    const auto number = number_from_text(value);
    if (number && is_number(*setting_)) numbers.push_back(*number);
  }
  if (numbers.size() < values_.size()) {
    high_ = static_cast<double>(categories().size() - 1);
    return;
  }
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  low_ = *low;
  high_ = *high;
  const bool logarithmic = low_ > 0 && high_ >= 10 * low_;
  scale_ = logarithmic ? AxisScale::kLogarithmic : AxisScale::kLinear;
}

// a, b of a draw; a, b, n of a series.
void Axis::read_range(const std::string& name, const std::vector<std::string>& arguments) {
  const bool series = name.ends_with("space"), logarithmic = name.starts_with("log");
  if (!is_number(*setting_))
    refuse(text_, fmt::format("asks for numbers, but {} is a {}", key(), setting_->type));
  const char* wanted = series ? "needs two numbers and a count" : "needs two numbers";
  if (arguments.size() != (series ? 3U : 2U)) refuse(text_, wanted);
  for (size_t i = 0; i < 2; ++i) check(arguments[i]);
  const auto low = number_from_text(arguments[0]), high = number_from_text(arguments[1]);
  if (!low || !high) refuse(text_, wanted);
  if (!(*low < *high)) refuse(text_, "must begin with the smaller of the two numbers");
  if (logarithmic && *low <= 0) refuse(text_, "has a logarithm: both numbers must be above 0");
  low_ = *low;
  high_ = *high;
  scale_ = logarithmic ? AxisScale::kLogarithmic : AxisScale::kLinear;
  drawn_ = !series;
  if (!series) return;
  const auto count = integer_from_text(arguments[2]);
  if (!count || *count < 2 || *count > kMostValues)
    refuse(text_, fmt::format("needs a count from 2 to {}", kMostValues));
  for (int64_t i = 0; i < *count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(*count - 1);
    const double number =
        logarithmic ? low_ * std::pow(high_ / low_, share) : low_ + share * (high_ - low_);
    const bool end = i == 0 || i == *count - 1;
    std::string value = end ? text_from_number(i == 0 ? low_ : high_) : number_text(number);
    if (whole()) value = number_text(number);
    if (values_.empty() || values_.back() != value) values_.push_back(std::move(value));
  }
}

std::string Axis::number_text(double number) const {
  if (whole()) return fmt::format("{}", std::llround(std::clamp(number, low_, high_)));
  const double rounded = *number_from_text(fmt::format("{:.6g}", number));
  return text_from_number(std::clamp(rounded, low_, high_));
}

std::string Axis::at_share(double share) const {
  if (!drawn_) {
    const auto count = static_cast<double>(values_.size());
    const auto index = static_cast<size_t>(share * count);
    return values_[std::min(index, values_.size() - 1)];
  }
  // Integers are the whole parts of [low, high + 1), so that each has its full width.
  const double end = whole() ? high_ + 1 : high_;
  const double number = scale_ == AxisScale::kLogarithmic ? low_ * std::pow(end / low_, share)
                                                          : low_ + share * (end - low_);
  return number_text(whole() ? std::floor(number) : number);
}

}  // namespace elbow::launch::sweep
