#include "launch/cluster/coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace elbow::launch::cluster {
namespace {

using sweep::AttributeSet;
using sweep::Event;
using sweep::TrialState;

constexpr int kDone = 0, kFailed = 1, kResumable = 75;
constexpr int64_t kMostBroken = 3;  // trials in a row before a group is set aside
constexpr int64_t kNobody = -1;

}  // namespace

struct Coordinator::Group {
  std::string host;
  int64_t number = 0;
  int64_t rows = 0;
  int64_t batch = 0;
  int64_t shape = 0;  // of what runs
  std::set<int64_t> running{};
  std::optional<int64_t> asked{};  // the report that waits for its answer
  int64_t broken = 0;              // trials in a row
  double examples_per_s = 0;
  bool left = false;
};

struct Coordinator::Trial {
  int64_t batch = 0;           // of its checkpoint in its epoch, as far as that is known
  int64_t broken = 0;          // how often
  int64_t broke_on = kNobody;  // group
};

Coordinator::Coordinator(const sweep::SweepConfig& sweep, sweep::Ledger& ledger,
                         const sweep::Shard& shard, std::vector<std::string> hosts)
    : sweep_(sweep),
      ledger_(ledger),
      shard_(shard),
      shapes_(sweep),
      strategy_(make_strategy(sweep.settings)),
      queue_(sweep.space.trials(), shard, [this](int64_t trial) { return shapes_.of(trial); }) {
  const auto& contents = ledger_.contents();
  tell_all(*strategy_, contents);
  queue_.remove_started(contents);
  for (const auto& trial : contents.trials)
    if (!is_finished(trial.state)) returned_.push_back(trial.number);
  open_ = queue_.left() + static_cast<int64_t>(returned_.size());
  for (auto& host : hosts)
    groups_.push_back({.host = std::move(host), .number = static_cast<int64_t>(groups_.size())});
}

Coordinator::~Coordinator() = default;

std::string Coordinator::name_of(int64_t trial) const {
  return fmt::format("trial {} ({})", trial, described(sweep_, sweep_.space.trial(trial)));
}

std::vector<std::string> Coordinator::take_notes() { return std::exchange(notes_, {}); }

// --- Reports -------------------------------------------------------------------------------------

// All values are told before the first decision: rows that come to a rung together are compared.
std::vector<std::pair<int64_t, Orders>> Coordinator::answer(const std::vector<Report>& reports,
                                                            sweep::Time now) {
  std::vector<Event> events;
  for (const auto& report : reports) {
    auto& group = groups_.at(report.group);
    take_news(group, report, now, events);
    group.asked = report.number;
    group.left = false;
    waiting_.insert(report.group);
  }
  return orders_for_waiting(now, std::move(events));
}

std::vector<std::pair<int64_t, Orders>> Coordinator::lose(int64_t number, sweep::Time now) {
  auto& group = groups_.at(number);
  if (group.left) return {};
  note(fmt::format("group {} on {} is lost{}", number, group.host,
                   group.running.empty() ? "" : "; its trials go on elsewhere"));
  for (const int64_t trial : group.running) give_back(trial, kNobody);
  group.running.clear();
  group.asked.reset();
  group.left = true;
  waiting_.erase(number);
  return orders_for_waiting(now, {});
}

void Coordinator::stop(const std::string& reason) {
  if (stopped_.empty()) stopped_ = reason;
}

void Coordinator::take_news(Group& group, const Report& report, sweep::Time now,
                            std::vector<Event>& events) {
  group.rows = report.rows;
  group.batch = report.batch;
  if (report.examples_per_s > 0) group.examples_per_s = report.examples_per_s;
  if (!report.lost.empty())
    note(fmt::format("group {} has lost {}; the others go on", report.group,
                     fmt::join(report.lost, ", ")));
  if (!report.interrupted.empty()) stop(report.interrupted);
  for (const auto& news : report.news) {
    if (!group.running.contains(news.trial)) continue;
    if (news.epoch > 0) {
      events.push_back(sweep::EpochReported{news.trial, news.epoch, news.value});
      strategy_->tell(news.trial, news.epoch, news.value);
      ++epochs_;
      group.broken = 0;
    }
    if (news.end == RowEnd::kNone) continue;
    group.running.erase(news.trial);
    if (news.end == RowEnd::kDeclined) {
      trials_[news.trial].batch = news.batch;
      give_back(news.trial, kNobody);
    } else if (news.end != RowEnd::kBroken || !try_again(news.trial, news, report.group, events)) {
      end_trial(news.trial, news, now, events);
    }
  }
  for (const int64_t trial : std::set(group.running)) {
    if (std::ranges::find(report.running, trial) != report.running.end()) continue;
    group.running.erase(trial);
    give_back(trial, kNobody);
  }
}

void Coordinator::end_trial(int64_t trial, const RowNews& news, sweep::Time now,
                            std::vector<Event>& events) {
  const bool complete = news.end == RowEnd::kComplete && std::isfinite(news.value);
  const bool pruned = news.end == RowEnd::kPruned;
  for (const auto& [name, value] : news.attributes)
    events.push_back(AttributeSet{trial, name, value});
  if (!news.error.empty()) {
    events.push_back(AttributeSet{trial, "error", news.error});
    note(fmt::format("{} has failed: {}", name_of(trial), news.error));
  }
  const auto value = std::isfinite(news.value) ? std::optional(news.value) : std::nullopt;
  if (complete)
    note(fmt::format("{} is complete: {} {:.6g}", name_of(trial), sweep_.settings.metric, *value));
  events.push_back(sweep::TrialFinished{trial,
                                        complete ? TrialState::kComplete
                                        : pruned ? TrialState::kPruned
                                                 : TrialState::kFailed,
                                        value, now});
  trials_.erase(trial);
  --open_;
}

// A trial that a group gives up for no fault of its own is the next to be handed out.
void Coordinator::give_back(int64_t trial, int64_t group) {
  trials_[trial].broke_on = group;
  returned_.push_back(trial);
}

bool Coordinator::try_again(int64_t trial, const RowNews& news, int64_t group,
                            std::vector<Event>& events) {
  auto& known = trials_[trial];
  auto& place = groups_.at(group);
  if (++place.broken == kMostBroken)
    note(fmt::format("group {} on {} is set aside: {} trials in a row have failed there", group,
                     place.host, kMostBroken));
  if (++known.broken > sweep_.settings.retries) return false;
  events.push_back(AttributeSet{trial, "retries", static_cast<double>(known.broken)});
  events.push_back(AttributeSet{trial, "retried_after", news.error});
  note(fmt::format("{} is tried again ({} of {}) after: {}", name_of(trial), known.broken,
                   sweep_.settings.retries, news.error));
  give_back(trial, group);
  return true;
}

// --- Orders --------------------------------------------------------------------------------------

// events: what has just been told, for the ledger.
std::vector<std::pair<int64_t, Orders>> Coordinator::orders_for_waiting(sweep::Time now,
                                                                        std::vector<Event> events) {
  const bool over = !stopped_.empty() || open_ == 0;
  able_groups_ = std::ranges::count_if(
      groups_, [](const Group& group) { return !group.left && group.broken < kMostBroken; });
  std::vector<std::pair<int64_t, Orders>> all;
  for (const int64_t number : waiting_) {
    auto& group = groups_[number];
    auto orders = orders_for(group, now, events);
    orders.leave = over && (group.running.empty() || !stopped_.empty());
    if (!group.running.empty() || orders.leave) all.emplace_back(number, std::move(orders));
  }
  ledger_.append(events);  // before anybody hears of it
  const int code = over ? exit_code() : kResumable;
  for (auto& [number, orders] : all) {
    orders.exit_code = code;
    answered(groups_[number], orders);
  }
  return all;
}

void Coordinator::answered(Group& group, const Orders& orders) {
  waiting_.erase(group.number);
  group.asked.reset();
  if (!orders.leave) return;
  group.left = true;
  for (const int64_t trial : group.running) give_back(trial, kNobody);
  group.running.clear();
}

Orders Coordinator::orders_for(Group& group, sweep::Time now, std::vector<Event>& events) {
  Orders orders{.number = *group.asked};
  if (!stopped_.empty()) return orders;
  for (const int64_t trial : group.running) {
    if (strategy_->decide(trial) == sweep::Decision::kGoOn) continue;
    orders.stop.push_back(trial);
    note(fmt::format("{} is pruned: {}", name_of(trial), strategy_->reason(trial)));
  }
  fill(group, orders, now, events);
  return orders;
}

// Places of trials that are stopped are free at once. The leader names them as running until it
// has said that they ended.
void Coordinator::fill(Group& group, Orders& orders, sweep::Time now, std::vector<Event>& events) {
  if (returned_.empty() && queue_.left() == 0) return;
  const auto stopped = static_cast<int64_t>(orders.stop.size());
  if (group.broken >= kMostBroken && able_groups_ > 0) return;
  while (static_cast<int64_t>(group.running.size()) - stopped < group.rows) {
    const auto trial = take_next(group);
    if (!trial) return;
    if (group.running.empty()) {
      group.shape = shapes_.of(*trial);
      group.batch = trials_[*trial].batch;
    }
    TrialStart start{.trial = *trial};
    if (ledger_.contents().find(*trial) == nullptr) {
      const auto plan = sweep_.space.trial(*trial);
      events.push_back(sweep::TrialStarted{
          .trial = *trial,
          .values = plan.values,
          .seed = config_of(sweep_, plan).settings.train.seed,
          .time = now,
          .attributes = {{"group", static_cast<double>(group.number)}, {"host", group.host}}});
    } else if (strategy_->decide(*trial) == sweep::Decision::kStop) {
      start.prune = strategy_->reason(*trial);
    }
    group.running.insert(*trial);
    orders.begin.push_back(std::move(start));
  }
}

// What was begun before goes first. A trial that broke on this group waits for another, where there
// is one.
std::optional<int64_t> Coordinator::take_next(Group& group) {
  const bool empty = group.running.empty();
  const bool alone = able_groups_ <= 1;
  const auto fits = [&](int64_t trial) {
    const auto& known = trials_[trial];
    if (known.broke_on == group.number && !alone) return false;
    return empty || (shapes_.of(trial) == group.shape && known.batch == group.batch);
  };
  const auto found = std::ranges::find_if(returned_, fits);
  if (found != returned_.end()) {
    const int64_t trial = *found;
    returned_.erase(found);
    return trial;
  }
  if (empty) {
    const auto shape = queue_.fullest_shape();
    return shape ? queue_.ask(*shape) : std::nullopt;
  }
  return group.batch == 0 ? queue_.ask(group.shape) : std::nullopt;
}

// --- What there is to see ------------------------------------------------------------------------

bool Coordinator::everybody_left() const { return std::ranges::all_of(groups_, &Group::left); }

std::vector<std::pair<int64_t, int64_t>> Coordinator::who_waits() const {
  std::vector<std::pair<int64_t, int64_t>> waiting;
  for (const int64_t number : waiting_) waiting.emplace_back(number, *groups_[number].asked);
  return waiting;
}

SweepStatus Coordinator::status() const {
  const auto& contents = ledger_.contents();
  SweepStatus status{.epochs = epochs_};
  for (const auto& trial : contents.trials) {
    status.complete += trial.state == TrialState::kComplete ? 1 : 0;
    status.pruned += trial.state == TrialState::kPruned ? 1 : 0;
    status.failed += trial.state == TrialState::kFailed ? 1 : 0;
    auto value = trial.value;
    if (!is_finished(trial.state) && !trial.by_epoch.empty())
      value = trial.by_epoch.rbegin()->second;
    if (!value || trial.state == TrialState::kFailed || trial.state == TrialState::kPruned)
      continue;
    const bool better = sweep::larger_is_better(sweep_.settings.metric)
                            ? *value > status.best_value
                            : *value < status.best_value;
    if (status.best && !better) continue;
    status.best = trial.number;
    status.best_value = *value;
  }
  for (const auto& group : groups_) {
    const auto running = static_cast<int64_t>(group.running.size());
    status.running += running;
    status.groups.push_back({group.rows, running, group.examples_per_s, group.left});
  }
  status.trials = static_cast<int64_t>(contents.trials.size()) + queue_.left();
  return status;
}

int Coordinator::exit_code() const {
  const auto now = status();
  if (!now.finished()) return kResumable;
  return now.trials > 0 && now.failed == now.trials ? kFailed : kDone;
}

}  // namespace elbow::launch::cluster
