#include "launch/number_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace elbow::launch {
namespace {

// The whole of `text` as a T, as std::from_chars reads it, with an optional leading '+'.
template <class T>
std::optional<T> whole_text_as(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> finite(std::optional<double> value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace

std::optional<double> number_from_text(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return finite(whole_text_as<double>(text));
  const auto above = finite(whole_text_as<double>(without_outer_blanks(text.substr(0, slash))));
  const auto below = finite(whole_text_as<double>(without_outer_blanks(text.substr(slash + 1))));
  if (!above || !below || *below == 0) return std::nullopt;
  return finite(*above / *below);
}

std::optional<int64_t> integer_from_text(std::string_view text) {
  if (const auto value = whole_text_as<int64_t>(text)) return value;
  if (text.find_first_of("./") != std::string_view::npos) return std::nullopt;
  const auto value = finite(whole_text_as<double>(text));
  constexpr double kLargestExact = 9007199254740992.0;  // 2^53
  if (!value || std::trunc(*value) != *value || std::abs(*value) > kLargestExact)
    return std::nullopt;
  return static_cast<int64_t>(*value);
}

std::optional<double> seconds_from_text(std::string_view text) {
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    const size_t second = text.find(':', colon + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const auto hours = whole_text_as<int64_t>(text.substr(0, colon));
    const auto minutes = whole_text_as<int64_t>(text.substr(colon + 1, second - colon - 1));
    const auto seconds = whole_text_as<int64_t>(text.substr(second + 1));
    const bool fits = hours && minutes && seconds && *hours >= 0 && *minutes >= 0 &&
                      *minutes < 60 && *seconds >= 0 && *seconds < 60;
    if (!fits) return std::nullopt;
    return 3600.0 * static_cast<double>(*hours) + static_cast<double>(60 * *minutes + *seconds);
  }
  double unit = 1;
  if (text.ends_with('m')) unit = 60;
  if (text.ends_with('h')) unit = 3600;
  if (text.ends_with('d')) unit = 86400;
  if (unit != 1 || text.ends_with('s')) text.remove_suffix(1);
  const auto value = number_from_text(text);
  return value ? finite(*value * unit) : std::nullopt;
}

std::optional<bool> switch_from_text(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  return std::nullopt;
}

std::string text_from_number(double value) { return fmt::format("{}", value); }

std::vector<std::string> parts_between_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const size_t comma = text.find(',');
    parts.emplace_back(without_outer_blanks(text.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::string_view without_outer_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace elbow::launch
