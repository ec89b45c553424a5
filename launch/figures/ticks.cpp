#include "launch/figures/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbow::launch::figures {
namespace {

struct Multiples {
  double step;
  int64_t first;
  int64_t last;
  int64_t count() const { return last - first + 1; }
};

Multiples multiples_within(const Scale& scale, double step) {
  return {step, static_cast<int64_t>(std::ceil(scale.low / step - 1e-9)),
          static_cast<int64_t>(std::floor(scale.high / step + 1e-9))};
}

// Of 1, 2 and 5 times powers of ten, the one that comes nearest to `wanted` ticks.
Multiples nice_multiples(const Scale& scale, int wanted) {
  const double power = std::pow(10.0, std::floor(std::log10((scale.high - scale.low) / wanted)));
  auto best = multiples_within(scale, power);
  for (const double multiple : {2.0, 5.0, 10.0}) {
    const auto other = multiples_within(scale, multiple * power);
    if (std::abs(other.count() - wanted) < std::abs(best.count() - wanted)) best = other;
  }
  return best;
}

// Unicode's minus sign, which is as wide as a plus.
std::string with_minus(std::string text) {
  if (text.starts_with("-")) text.replace(0, 1, "\u2212");
  return text;
}

std::string label_of(double value, double step) {
  if (std::abs(value) < step * 1e-9) return "0";
  const double large = std::max(std::abs(value), step);
  if (large >= 1e6 || large < 1e-4) return with_minus(fmt::format("{:.3g}", value));
  const int digits = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return with_minus(fmt::format("{:.{}f}", value, digits));
}

std::vector<Tick> logarithmic_ticks(const Scale& scale, const std::vector<double>& multiples) {
  std::vector<Tick> ticks;
  const int first = static_cast<int>(std::floor(std::log10(scale.low)));
  const int last = static_cast<int>(std::ceil(std::log10(scale.high)));
  for (int power = first; power <= last; ++power) {
    for (const double multiple : multiples) {
      const double value = multiple * std::pow(10.0, power);
      if (value >= scale.low * (1 - 1e-9) && value <= scale.high * (1 + 1e-9))
        ticks.push_back({value, fmt::format("{:g}", value)});
    }
  }
  return ticks;
}

}  // namespace

double Scale::share(double value) const {
  if (!logarithmic) return (value - low) / (high - low);
  return std::log(std::max(value, low * 1e-9) / low) / std::log(high / low);
}

Scale scale_around(const std::vector<double>& values, bool logarithmic, double room) {
  double low = std::numeric_limits<double>::max(), high = std::numeric_limits<double>::lowest();
  for (const double value : values) {
    if (!std::isfinite(value) || (logarithmic && value <= 0)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return {logarithmic ? 0.1 : 0.0, 1, logarithmic};
  if (logarithmic) {
    const double factor = std::max(std::pow(high / low, room), 1.05);
    return {low / factor, high * factor, true};
  }
  const double extent = high - low;
  const double around = extent > 0 ? room * extent : std::max(std::abs(high) * 0.05, 1e-6);
  return {low - around, high + around, false};
}

std::vector<Tick> ticks_of(const Scale& scale, int wanted) {
  if (scale.logarithmic) {
    auto ticks = logarithmic_ticks(scale, {1});
    if (ticks.size() < 3) ticks = logarithmic_ticks(scale, {1, 2, 5});
    while (static_cast<int>(ticks.size()) > 2 * wanted) {
      for (size_t i = 1; i < ticks.size(); ++i) ticks.erase(ticks.begin() + static_cast<long>(i));
    }
    if (ticks.size() >= 2) return ticks;
  }
  std::vector<Tick> ticks;
  const auto [step, first, last] = nice_multiples(scale, std::max(wanted, 2));
  for (int64_t i = first; i <= last; ++i)
    ticks.push_back({static_cast<double>(i) * step, label_of(static_cast<double>(i) * step, step)});
  return ticks;
}

std::vector<Tick> whole_ticks(const Scale& scale, int wanted) {
  std::vector<Tick> ticks;
  for (const auto& tick : ticks_of(scale, wanted)) {
    const double whole = std::round(tick.value);
    if (std::abs(tick.value - whole) < 1e-6) ticks.push_back({whole, label_of(whole, 1)});
  }
  return ticks;
}

}  // namespace elbow::launch::figures
