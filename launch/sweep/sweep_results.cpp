#include "launch/sweep/sweep_results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "launch/number_text.h"
#include "trainer/error.h"

namespace elbow::launch::sweep {
namespace {

std::string number_or_nothing(const std::optional<double>& number) {
  return number ? text_from_number(*number) : "";
}

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::vector<std::string> all;
  for (const auto& field : fields) all.push_back(quoted(field));
  return fmt::format("{}\n", fmt::join(all, ","));
}

// The other trial says more of the same trial.
bool says_more(const LedgerTrial& other, const LedgerTrial& trial) {
  return is_finished(other.state) && !is_finished(trial.state);
}

double variance(const std::vector<double>& values) {
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size());
}

// Values of the metric, in groups of trials with equal places on the axis; more than 8 places are
// joined into four groups of about as many trials.
std::vector<std::vector<double>> groups(std::vector<std::pair<double, double>> places) {
  constexpr size_t kMostPlaces = 8, kQuarters = 4;
  std::sort(places.begin(), places.end());
  std::map<double, std::vector<double>> equal;
  for (const auto& [place, value] : places) equal[place].push_back(value);
  std::vector<std::vector<double>> result;
  if (equal.size() <= kMostPlaces) {
    for (auto& [place, values] : equal) result.push_back(std::move(values));
    return result;
  }
  result.resize(kQuarters);
  for (size_t i = 0; i < places.size(); ++i)
    result[i * kQuarters / places.size()].push_back(places[i].second);
  return result;
}

}  // namespace

std::optional<size_t> SweepResults::axis(const std::string& key) const {
  for (size_t i = 0; i < head.axes.size(); ++i)
    if (head.axes[i].key == key) return i;
  return std::nullopt;
}

SweepResults merged(std::span<const LedgerContents> ledgers) {
  SweepResults results{.head = ledgers.front().head, .trials = {}};
  std::map<int64_t, const LedgerTrial*> by_number;
  for (const auto& ledger : ledgers) {
    if (ledger.head.fingerprint != results.head.fingerprint) {
      throw trainer::SettingError(
          fmt::format("the ledgers of {} (shard {}) and {} (shard {}) are of different sweeps: "
                      "report them one by one",
                      results.head.name, results.head.shard, ledger.head.name, ledger.head.shard));
    }
    for (const auto& trial : ledger.trials) {
      const auto [known, is_new] = by_number.emplace(trial.number, &trial);
      if (!is_new && says_more(trial, *known->second)) known->second = &trial;
    }
  }
  for (const auto& [number, trial] : by_number) results.trials.push_back(*trial);
  return results;
}

std::vector<const LedgerTrial*> ranked(const SweepResults& results) {
  std::vector<const LedgerTrial*> trials;
  for (const auto& trial : results.trials) trials.push_back(&trial);
  const auto key = [&](const LedgerTrial* trial) {
    const bool complete = trial->state == TrialState::kComplete && trial->value;
    const double sign = results.head.larger_is_better ? -1 : 1;
    return std::tuple(!complete, complete ? sign * *trial->value : 0.0, trial->number);
  };
  std::sort(trials.begin(), trials.end(),
            [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return trials;
}

std::optional<double> newest_value(const LedgerTrial& trial) {
  if (trial.value) return trial.value;
  if (trial.by_epoch.empty()) return std::nullopt;
  return trial.by_epoch.rbegin()->second;
}

const LedgerTrial* best_trial(const SweepResults& results) {
  const auto trials = ranked(results);
  const bool any = !trials.empty() && trials.front()->state == TrialState::kComplete;
  return any ? trials.front() : nullptr;
}

std::string results_csv(const SweepResults& results) {
  std::set<std::string> names;
  for (const auto& trial : results.trials)
    for (const auto& [name, value] : trial.attributes) names.insert(name);
  names.erase(results.head.metric);

  std::vector<std::string> columns = {"trial", "state"};
  for (const auto& axis : results.head.axes) columns.push_back(axis.key);
  for (const char* name : {"seed", "epochs"}) columns.emplace_back(name);
  columns.push_back(results.head.metric);
  columns.insert(columns.end(), names.begin(), names.end());

  std::string text = csv_line(columns);
  for (const auto& trial : results.trials) {
    std::vector<std::string> fields = {std::to_string(trial.number), name_of(trial.state)};
    fields.insert(fields.end(), trial.values.begin(), trial.values.end());
    fields.push_back(std::to_string(trial.seed));
    fields.push_back(std::to_string(trial.epochs()));
    fields.push_back(number_or_nothing(newest_value(trial)));
    for (const auto& name : names) {
      const auto number = trial.number_attribute(name);
      fields.push_back(number ? text_from_number(*number) : trial.text_attribute(name));
    }
    text += csv_line(fields);
  }
  return text;
}

std::string summary_text(const SweepResults& results, int64_t rows) {
  std::vector<std::vector<std::string>> table = {{"trial", "state"}};
  for (const auto& axis : results.head.axes) table[0].push_back(axis.key);
  for (const std::string& name :
       {std::string("seed"), std::string("epochs"), results.head.metric, std::string("recon_nats"),
        std::string("kl_nats"), std::string("active_units")})
    table[0].push_back(name);
  const auto shown = [](const std::optional<double>& number) {
    return number ? fmt::format("{:.6g}", *number) : "";
  };
  for (const auto* trial : ranked(results)) {
    if (std::ssize(table) > rows) break;
    std::vector<std::string> line = {std::to_string(trial->number), name_of(trial->state)};
    line.insert(line.end(), trial->values.begin(), trial->values.end());
    line.push_back(std::to_string(trial->seed));
    line.push_back(std::to_string(trial->epochs()));
    line.push_back(shown(newest_value(*trial)));
    for (const char* name : {"recon_nats", "kl_nats", "active_units"})
      line.push_back(shown(trial->number_attribute(name)));
    table.push_back(std::move(line));
  }
  std::vector<size_t> widths(table[0].size(), 0);
  for (const auto& line : table)
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string text;
  for (const auto& line : table) {
    for (size_t i = 0; i < line.size(); ++i)
      text += fmt::format("{}{:>{}}", i == 0 ? "" : "  ", line[i], widths[i]);
    text += "\n";
  }
  return text;
}

std::vector<double> axis_importance(const SweepResults& results) {
  constexpr size_t kFewest = 3;
  std::vector<const LedgerTrial*> complete;
  std::vector<double> values;
  for (const auto& trial : results.trials) {
    if (trial.state != TrialState::kComplete || !trial.value) continue;
    complete.push_back(&trial);
    values.push_back(*trial.value);
  }
  const double whole = values.size() < kFewest ? 0 : variance(values);
  std::vector<double> importance;
  for (size_t axis = 0; axis < results.head.axes.size(); ++axis) {
    std::vector<std::pair<double, double>> places;
    for (size_t i = 0; i < complete.size(); ++i)
      places.emplace_back(place_of(results.head.axes[axis], complete[i]->values[axis]), values[i]);
    double within = 0;
    for (const auto& group : groups(std::move(places)))
      within += variance(group) * static_cast<double>(group.size());
    within /= static_cast<double>(std::max<size_t>(values.size(), 1));
    importance.push_back(whole > 0 ? std::clamp(1 - within / whole, 0.0, 1.0)
                                   : std::numeric_limits<double>::quiet_NaN());
  }
  return importance;
}

}  // namespace elbow::launch::sweep
