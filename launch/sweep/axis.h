// One axis of a sweep: a setting, and the values that its trials take. Values are texts as somebody
// would write them in a configuration file, so that any setting can be an axis; numbers that are
// computed or drawn are rounded to 6 significant digits first. Pure.
//
//   1e-3, 1e-2, 1e-1      these values. Where the text has a ';', that separates instead of ',';
//   500; 500, 300         lists of numbers (model.encoder) always need it
//   choice(a, b, c)       the same values
//   linspace(a, b, n)     n values from a to b in even steps
//   logspace(a, b, n)     n values from a to b in even ratios (a and b are values, not exponents)
//   uniform(a, b)         drawn between a and b
//   loguniform(a, b)      drawn so that the logarithm is uniform; 0 < a < b
//
// Of an integer setting the values are rounded to integers, and equal neighbours become one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/setting_table.h"

namespace elbow::launch::sweep {

// How an axis is told to Optuna, and drawn.
enum class AxisScale { kLinear, kLogarithmic, kCategories };

class Axis {
 public:
  // Each value is checked as that of the setting itself. Throws trainer::SettingError: one sentence
  // with the key, the value, its origin, what is allowed and what to do.
  Axis(const Setting& setting, const std::string& text, const std::string& origin);

  const std::string& key() const { return setting_->key; }  // "objective.kl_wt"
  const std::string& text() const { return text_; }         // as given
  const std::string& origin() const { return origin_; }     // "configs/a.cfg:12"
  bool is_finite() const { return !drawn_; }
  // Of a finite axis, in the order given; at least one. Equal values have equal texts.
  const std::vector<std::string>& values() const { return values_; }
  // The first value that is given more than once; "" where each is given once.
  std::string repeated_value() const;
  // Each value once, in the order given.
  std::vector<std::string> categories() const;

  // The value at a share of the axis in [0, 1): of values, each has the same width.
  std::string at_share(double share) const;

  // Numbers are placed by their value, anything else by its index in categories().
  AxisScale scale() const { return scale_; }
  bool whole() const { return setting_->type == "integer"; }
  double low() const { return low_; }    // smallest and largest number; 0 and the last index
  double high() const { return high_; }  // for categories

 private:
  void read_range(const std::string& name, const std::vector<std::string>& arguments);
  void take_values(std::vector<std::string> values);
  void check(const std::string& value) const;
  void measure();
  std::string number_text(double number) const;
  [[noreturn]] void refuse(const std::string& value, const std::string& reason) const;

  const Setting* setting_;
  std::string text_;
  std::string origin_;
  std::vector<std::string> values_;
  bool drawn_ = false;
  AxisScale scale_ = AxisScale::kCategories;
  double low_ = 0;
  double high_ = 0;
};

}  // namespace elbow::launch::sweep
