#include "trainer/step_times.h"

#include <fmt/format.h>

#include <algorithm>

namespace elbow::trainer {
namespace {

constexpr size_t kMost = 4096;

double at_quantile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto place =
      values.begin() + static_cast<int64_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

double per_example(const StepTimes& times) {
  return times.examples > 0 ? times.seconds / times.examples : 0;
}

double median_of_others(const std::vector<StepTimes>& times, size_t rank) {
  std::vector<double> others;
  for (size_t i = 0; i < times.size(); ++i)
    if (i != rank) others.push_back(per_example(times[i]));
  return at_quantile(others, 0.5);
}

}  // namespace

void StepClock::add(double seconds, int64_t examples) {
  if (seconds_.size() == kMost) take();  // nobody asks
  seconds_.push_back(seconds);
  examples_ += static_cast<double>(examples);
}

StepTimes StepClock::take() {
  StepTimes times{.examples = examples_};
  for (const double seconds : seconds_) times.seconds += seconds;
  times.median_s = at_quantile(seconds_, 0.5);
  times.slow_s = at_quantile(seconds_, 0.9);
  seconds_.clear();
  examples_ = 0;
  return times;
}

std::optional<std::string> StragglerWatch::look(const std::vector<StepTimes>& times,
                                                const std::vector<std::string>& hosts) {
  if (factor_ == 0 || times.size() < 2) return std::nullopt;
  sums_.resize(times.size());
  for (size_t i = 0; i < times.size(); ++i) {
    sums_[i].seconds += times[i].seconds;
    sums_[i].examples += times[i].examples;
  }
  const auto slower = [](const StepTimes& a, const StepTimes& b) {
    return per_example(a) < per_example(b);
  };
  const auto slowest = static_cast<size_t>(std::ranges::max_element(sums_, slower) - sums_.begin());
  if (sums_[slowest].seconds < at_least_s_) return std::nullopt;
  const double own = per_example(sums_[slowest]), others = median_of_others(sums_, slowest);
  sums_.clear();
  const bool slow = own > factor_ * others;
  const bool known = told_ == static_cast<int>(slowest);
  told_ = slow ? static_cast<int>(slowest) : -1;
  if (!slow || known) return std::nullopt;
  return fmt::format(
      "rank {} on {} is slow: an example takes it {:.3g} ms, {:.1f} times as long as the others' "
      "{:.3g} ms, and all wait for it at each step (its part of one takes {:.3g} ms, one in ten "
      "more than {:.3g} ms)",
      slowest, hosts.at(slowest), 1e3 * own, own / others, 1e3 * others,
      1e3 * times[slowest].median_s, 1e3 * times[slowest].slow_s);
}

}  // namespace elbow::trainer
