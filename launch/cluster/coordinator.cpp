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
constexpr int64_t kMostBroken = 3;  // trials in a row before a group, or a host, is set aside
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
  bool set_aside = false;          // gets nothing while others could have it
  bool heard = true;               // false after a takeover, until it has said what it trains
  double examples_per_s = 0;
  bool left = false;
};

struct Coordinator::Trial {
  int64_t batch = 0;           // of its checkpoint in its epoch, as far as that is known
  int64_t broken = 0;          // how often
  int64_t broke_on = kNobody;  // group
};

Coordinator::Coordinator(const sweep::SweepConfig& sweep, sweep::Ledger& ledger,
                         const sweep::Shard& shard, std::vector<std::string> hosts,
                         Beginning beginning)
    : sweep_(sweep),
      ledger_(ledger),
      shard_(shard),
      shapes_(sweep),
      warm_starts_(sweep),
      strategy_(make_strategy(sweep.settings)),
      queue_(sweep.space.trials(), shard, [this](int64_t trial) { return shapes_.of(trial); }) {
  const auto& contents = ledger_.contents();
  tell_all(*strategy_, contents);
  queue_.remove_started(contents);
  open_ = queue_.left();
  for (const auto& trial : contents.trials) {
    if (is_finished(trial.state)) continue;
    ++open_;
    trials_[trial.number].broken =
        static_cast<int64_t>(trial.number_attribute("retries").value_or(0));
    if (beginning == Beginning::kTakeover) {
      unclaimed_.insert(trial.number);
    } else {
      returned_.push_back(trial.number);
    }
  }
  for (auto& host : hosts)
    groups_.push_back({.host = std::move(host),
                       .number = static_cast<int64_t>(groups_.size()),
                       .heard = beginning == Beginning::kLaunch});
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
    if (!group.heard) claim(group, report);
    take_news(group, report, now, events);
    group.asked = report.number;
    group.left = false;
    waiting_.insert(report.group);
  }
  give_back_unclaimed();
  return orders_for_waiting(now, std::move(events));
}

std::vector<std::pair<int64_t, Orders>> Coordinator::lose(int64_t number, sweep::Time now) {
  auto& group = groups_.at(number);
  if (group.left) return {};
  note(fmt::format("group {} on {} is lost{}", number, group.host,
                   group.running.empty() ? "" : "; its trials go on elsewhere"));
  return let_go(number, now);
}

std::vector<std::pair<int64_t, Orders>> Coordinator::let_go(int64_t number, sweep::Time now) {
  auto& group = groups_.at(number);
  empty(group);
  group.asked.reset();
  group.left = true;
  waiting_.erase(number);
  give_back_unclaimed();
  return orders_for_waiting(now, {});
}

void Coordinator::stop(const std::string& reason) {
  if (stopped_.empty()) stopped_ = reason;
}

// What a group that is heard for the first time has, or had until this report.
void Coordinator::claim(Group& group, const Report& report) {
  const auto take = [&](int64_t trial) {
    if (unclaimed_.erase(trial) > 0) group.running.insert(trial);
  };
  for (const int64_t trial : report.running) take(trial);
  for (const auto& news : report.news) take(news.trial);
  if (!report.running.empty()) group.shape = shapes_.of(report.running.front());
  group.heard = true;
}

void Coordinator::give_back_unclaimed() {
  const bool all_heard =
      std::ranges::all_of(groups_, [](const Group& group) { return group.heard || group.left; });
  if (unclaimed_.empty() || !all_heard) return;
  for (const int64_t trial : std::exchange(unclaimed_, {})) give_back(trial, kNobody);
}

// A report may come twice, to a coordinator and to its successor.
void Coordinator::take_epoch(Group& group, const RowNews& news, std::vector<Event>& events) {
  group.broken = 0;
  broken_on_host_[group.host] = 0;
  const auto* known = ledger_.contents().find(news.trial);
  const auto told = known->by_epoch.find(news.epoch);
  if (told != known->by_epoch.end() && told->second == news.value) return;
  events.push_back(sweep::EpochReported{news.trial, news.epoch, news.value});
  strategy_->tell(news.trial, news.epoch, news.value);
  ++epochs_;
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
    if (news.epoch > 0) take_epoch(group, news, events);
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

void Coordinator::empty(Group& group) {
  for (const int64_t trial : group.running) give_back(trial, kNobody);
  group.running.clear();
}

// A host is set aside with all its groups. Where nobody else is left, they work all the same.
void Coordinator::count_broken(Group& group) {
  const auto told = [&](const std::string& what) {
    note(fmt::format("{} is set aside: {} trials in a row have failed there", what, kMostBroken));
  };
  if (++broken_on_host_[group.host] == kMostBroken) {
    const auto here = [&](const Group& other) { return other.host == group.host; };
    const bool others = !std::ranges::all_of(groups_, here);
    if (others) {
      told("host " + group.host);
      for (auto& other : groups_) other.set_aside = other.set_aside || here(other);
    }
  }
  if (++group.broken == kMostBroken && !group.set_aside && groups_.size() > 1) {
    told(fmt::format("group {} on {}", group.number, group.host));
    group.set_aside = true;
  }
}

bool Coordinator::try_again(int64_t trial, const RowNews& news, int64_t group,
                            std::vector<Event>& events) {
  auto& known = trials_[trial];
  count_broken(groups_.at(group));
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
  if (warm_starts_.any()) ledger_.append(std::exchange(events, {}));  // they follow from it
  able_groups_ = std::ranges::count_if(
      groups_, [](const Group& group) { return !group.left && !group.set_aside; });
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
  empty(group);
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
  if (group.set_aside && able_groups_ > 0) return;
  while (static_cast<int64_t>(group.running.size()) - stopped < group.rows) {
    const auto trial = take_next(group);
    if (!trial) return;
    if (group.running.empty()) {
      group.shape = shapes_.of(*trial);
      group.batch = trials_[*trial].batch;
    }
    orders.begin.push_back(start_of(*trial, group, now, events));
    group.running.insert(*trial);
  }
}

// A new trial is written into the ledger; one that was begun before may have to be stopped at once.
TrialStart Coordinator::start_of(int64_t trial, const Group& group, sweep::Time now,
                                 std::vector<Event>& events) {
  TrialStart start{.trial = trial};
  const auto source = warm_starts_.source_of(trial, ledger_.contents());
  if (source) start.source = *source;
  if (ledger_.contents().find(trial) != nullptr) {
    if (strategy_->decide(trial) == sweep::Decision::kStop) start.prune = strategy_->reason(trial);
    return start;
  }
  const auto plan = sweep_.space.trial(trial);
  sweep::TrialStarted started{
      .trial = trial,
      .values = plan.values,
      .seed = config_of(sweep_, plan).settings.train.seed,
      .time = now,
      .attributes = {{"group", static_cast<double>(group.number)}, {"host", group.host}}};
  if (source) started.attributes["warm_start_from"] = static_cast<double>(*source);
  events.push_back(std::move(started));
  return start;
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
  const auto ready = [this](int64_t trial) {
    return warm_starts_.ready(trial, ledger_.contents());
  };
  if (empty) return queue_.ask_fullest(ready);
  return group.batch == 0 ? queue_.ask(group.shape, ready) : std::nullopt;
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
    // The place of a trial that has been told to stop may have its next one already.
    const auto running = std::min(static_cast<int64_t>(group.running.size()), group.rows);
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
