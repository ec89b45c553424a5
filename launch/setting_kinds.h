// Kinds of settings, from which tables of settings are made: how each kind reads a text, prints a
// value and says what is allowed. A table's line is a kind, a key, a place in the struct that holds
// the values, and one line of help.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "launch/nearest_name.h"
#include "launch/number_text.h"

namespace elbow::launch {

// Why a text is no value for a setting: "is not an integer". Whoever reads the configuration adds
// key, value, origin and allowed values.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A setting of the struct `Whole`.
template <class Whole>
struct SettingOf {
  std::string key;      // "objective.kl_wt"
  std::string type;     // "integer", "number", "switch", "choice", "text", "list of integers"
  std::string allowed;  // "1 to 64, or auto"
  std::string help;     // one line
  std::function<void(Whole&, const std::string& text)> set;  // throws BadValue
  std::function<std::string(const Whole&)> print;            // set() reads it back; "" where unset
  bool may_change = false;  // when a run is resumed: it does not touch what was trained so far

  std::string section() const { return key.substr(0, key.find('.')); }
  std::string member() const { return key.substr(key.find('.') + 1); }
};

namespace kinds {

// A place: from the whole (const or not) to one member of it, or of one of its sections.
template <class W, class T>
struct MemberPlace {
  using Whole = W;
  T W::*member;
  auto& operator()(auto& whole) const { return whole.*member; }
};
template <class W, class Section, class T>
struct SectionPlace {
  using Whole = W;
  Section W::*section;
  T Section::*member;
  auto& operator()(auto& whole) const { return whole.*section.*member; }
};
template <class W, class T>
MemberPlace<W, T> at(T W::*member) {
  return {member};
}
template <class W, class Section, class T>
SectionPlace<W, Section, T> at(Section W::*section, T Section::*member) {
  return {section, member};
}

struct Range {
  double low;
  double high;
  bool low_excluded = false;
  bool high_excluded = false;

  bool holds(double value) const {
    return (low_excluded ? value > low : value >= low) &&
           (high_excluded ? value < high : value <= high);
  }
  std::string text() const {
    return fmt::format("{}{:.15g} to {}{:.15g}", low_excluded ? "above " : "", low,
                       high_excluded ? "below " : "", high);
  }
};

inline int64_t integer_in(Range range, const std::string& text) {
  const auto value = integer_from_text(text);
  if (!value) throw BadValue("is not an integer");
  if (!range.holds(static_cast<double>(*value))) throw BadValue("is out of range");
  return *value;
}

inline double number_in(Range range, const std::string& text) {
  const auto value = number_from_text(text);
  if (!value) throw BadValue("is not a finite number");
  if (!range.holds(*value)) throw BadValue("is out of range");
  return *value;
}

template <class Place>
SettingOf<typename Place::Whole> integer(std::string key, Place place, Range range,
                                         std::string help) {
  return {.key = std::move(key),
          .type = "integer",
          .allowed = range.text(),
          .help = std::move(help),
          .set = [=](auto& s, const std::string& text) { place(s) = integer_in(range, text); },
          .print = [=](const auto& s) { return std::to_string(place(s)); }};
}

// An integer whose value 0 means that elbow chooses.
template <class Place>
SettingOf<typename Place::Whole> integer_or_auto(std::string key, Place place, Range range,
                                                 std::string help) {
  return {.key = std::move(key),
          .type = "integer",
          .allowed = range.text() + ", or auto",
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                place(s) = text == "auto" ? 0 : integer_in(range, text);
              },
          .print =
              [=](const auto& s) {
                return place(s) == 0 ? std::string("auto") : std::to_string(place(s));
              }};
}

template <class Place>
SettingOf<typename Place::Whole> number(std::string key, Place place, Range range,
                                        std::string help) {
  return {.key = std::move(key),
          .type = "number",
          .allowed = range.text(),
          .help = std::move(help),
          .set = [=](auto& s, const std::string& text) { place(s) = number_in(range, text); },
          .print = [=](const auto& s) { return text_from_number(place(s)); }};
}

// A number that may be unset; `unset` is the word for it, "" where the key is then left out.
template <class Place>
SettingOf<typename Place::Whole> optional_number(std::string key, Place place, Range range,
                                                 std::string unset, std::string help) {
  return {.key = std::move(key),
          .type = "number",
          .allowed = range.text() + (unset.empty() ? "" : ", or " + unset),
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                place(s).reset();
                if (unset.empty() || text != unset) place(s) = number_in(range, text);
              },
          .print = [=](const auto& s) { return place(s) ? text_from_number(*place(s)) : unset; }};
}

template <class Place>
SettingOf<typename Place::Whole> yes_or_no(std::string key, Place place, std::string help) {
  return {.key = std::move(key),
          .type = "switch",
          .allowed = "true or false",
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                const auto value = switch_from_text(text);
                if (!value) throw BadValue("is neither true nor false");
                place(s) = *value;
              },
          .print = [=](const auto& s) { return std::string(place(s) ? "true" : "false"); }};
}

template <class Place>
SettingOf<typename Place::Whole> choice(std::string key, Place place,
                                        std::vector<std::string> choices, std::string help) {
  return {.key = std::move(key),
          .type = "choice",
          .allowed = fmt::format("{}", fmt::join(choices, ", ")),
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                if (std::find(choices.begin(), choices.end(), text) == choices.end())
                  throw BadValue("is not known" + did_you_mean(text, choices));
                place(s) = text;
              },
          .print = [=](const auto& s) { return place(s); }};
}

template <class Place>
SettingOf<typename Place::Whole> path(std::string key, Place place, std::string allowed,
                                      std::string help) {
  return {
      .key = std::move(key),
      .type = "text",
      .allowed = std::move(allowed),
      .help = std::move(help),
      .set =
          [=](auto& s, const std::string& text) {
            if (text.find_first_of("#\n\r") != std::string::npos || text.find('\0') != text.npos)
              throw BadValue("has a '#', which starts a comment, or a line break");
            place(s) = text;
          },
      .print = [=](const auto& s) { return place(s); }};
}

template <class Place>
SettingOf<typename Place::Whole> integer_list(std::string key, Place place, Range range,
                                              size_t longest, std::string help) {
  return {.key = std::move(key),
          .type = "list of integers",
          .allowed = fmt::format("1 to {} values, each {}", longest, range.text()),
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                const auto parts = parts_between_commas(text);
                if (parts.size() > longest) throw BadValue("has too many values");
                std::vector<int64_t> values;
                for (const std::string& part : parts) {
                  try {
                    values.push_back(integer_in(range, part));
                  } catch (const BadValue& bad) {
                    throw BadValue(fmt::format("has a value '{}' that {}", part, bad.what()));
                  }
                }
                place(s) = std::move(values);
              },
          .print = [=](const auto& s) { return fmt::format("{}", fmt::join(place(s), ", ")); }};
}

// Seconds; `unset` is the word for 0.
template <class Place>
SettingOf<typename Place::Whole> duration(std::string key, Place place, Range range,
                                          std::string unset, std::string help) {
  return {.key = std::move(key),
          .type = "duration",
          .allowed = fmt::format("{} s, as 90, 30m, 1.5h or 1:30:00{}", range.text(),
                                 unset.empty() ? "" : ", or " + unset),
          .help = std::move(help),
          .set =
              [=](auto& s, const std::string& text) {
                place(s) = 0;
                if (!unset.empty() && text == unset) return;
                const auto value = seconds_from_text(text);
                if (!value) throw BadValue("is not a duration");
                if (!range.holds(*value)) throw BadValue("is out of range");
                place(s) = *value;
              },
          .print =
              [=](const auto& s) {
                return !unset.empty() && place(s) == 0 ? unset : text_from_number(place(s)) + "s";
              }};
}

// Of a setting that may be another when a run is resumed.
template <class Whole>
SettingOf<Whole> changeable(SettingOf<Whole> setting) {
  setting.may_change = true;
  return setting;
}

// An empty list is "none".
template <class Place>
SettingOf<typename Place::Whole> integer_list_or_none(std::string key, Place place, Range range,
                                                      size_t longest, std::string help) {
  auto setting = integer_list(std::move(key), place, range, longest, std::move(help));
  setting.allowed += ", or none";
  setting.set = [place, set = setting.set](auto& s, const std::string& text) {
    place(s).clear();
    if (text != "none") set(s, text);
  };
  setting.print = [place, print = setting.print](const auto& s) {
    return place(s).empty() ? std::string("none") : print(s);
  };
  return setting;
}

template <class Place>
SettingOf<typename Place::Whole> seed(std::string key, Place place, std::string help) {
  auto setting = integer(std::move(key), place, {0, 9223372036854775807.0}, std::move(help));
  setting.allowed = "0 to 9223372036854775807";
  return setting;
}

}  // namespace kinds
}  // namespace elbow::launch
