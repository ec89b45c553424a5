#include "launch/simulation/simulation.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <optional>

#include "launch/cluster/coordinator_desk.h"
#include "launch/simulation/pretended_training.h"
#include "launch/sweep/study_head.h"
#include "trainer/seconds_since.h"

namespace elbow::launch::simulation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kViewPause = 0.5;  // as of a sweep's view
constexpr double kPatience = 10;    // virtual seconds without an event before all counts as stuck

template <class TimePoint>
TimePoint at(double seconds) {
  return TimePoint(std::chrono::duration_cast<typename TimePoint::duration>(
      std::chrono::duration<double>(seconds)));
}

std::vector<std::string> hosts_of(int64_t groups) {
  constexpr int64_t kGroupsPerHost = 8;
  std::vector<std::string> hosts;
  for (int64_t group = 0; group < groups; ++group)
    hosts.push_back(fmt::format("node{:04}", group / kGroupsPerHost));
  return hosts;
}

class Simulation {
 public:
  Simulation(const sweep::SweepConfig& sweep, const SimulationSettings& settings,
             const std::filesystem::path& file);
  SimulationResult run();

 private:
  void plan_deaths();
  void kill(int rank);
  void lose_coordinator();
  void begin_to_coordinate(cluster::Beginning beginning);
  void turn();
  double next_turn();
  void judge();
  double capacity_until(double time) const;  // of all groups, in seconds of an ordinary one
  double lower_bound() const;

  const sweep::SweepConfig& sweep_;
  const SimulationSettings& settings_;
  Clock::time_point start_ = Clock::now();
  VirtualTime time_;
  PretendedMailbox mailbox_;
  Cluster cluster_;
  std::deque<PretendedGroup> groups_;
  sweep::Ledger ledger_;
  int in_charge_ = 0;  // rank
  std::optional<cluster::Coordinator> coordinator_;
  std::optional<cluster::CoordinatorDesk> desk_;  // nothing: nobody has taken over yet
  int64_t coordinators_ = 0;                      // so far
  double pause_s_ = 0, viewed_s_ = 0, last_event_s_ = 0;
  SimulationResult result_;
};

std::vector<std::vector<int>> one_rank_each(int64_t groups) {
  std::vector<std::vector<int>> ranks;
  for (int rank = 0; rank < groups; ++rank) ranks.push_back({rank});
  return ranks;
}

Simulation::Simulation(const sweep::SweepConfig& sweep, const SimulationSettings& settings,
                       const std::filesystem::path& file)
    : sweep_(sweep),
      settings_(settings),
      mailbox_(time_, static_cast<int>(settings.groups), settings.letter_s),
      cluster_{.settings = settings, .time = time_, .mailbox = mailbox_, .trials = {}},
      ledger_(sweep::Ledger::create(file, study_head(sweep, {}), settings.sync)) {
  begin_to_coordinate(cluster::Beginning::kLaunch);
  for (int64_t trial = 0; trial < sweep.space.trials(); ++trial)
    cluster_.trials.push_back(
        {.epochs = config_of(sweep, sweep.space.trial(trial)).settings.train.epochs});
  for (int64_t group = 0; group < settings.groups; ++group) {
    groups_.emplace_back(cluster_, group);
    time_.plan(0, [&group = groups_.back()] { group.report(); });
  }
  plan_deaths();
  result_.start_s = trainer::seconds_since(start_);
}

// What an earlier coordinator has written down is all that the next one knows.
void Simulation::begin_to_coordinate(cluster::Beginning beginning) {
  coordinator_.emplace(sweep_, ledger_, sweep::Shard{}, hosts_of(settings_.groups), beginning);
  desk_.emplace(cluster::DeskParts{.coordinator = *coordinator_,
                                   .mailbox = mailbox_,
                                   .ranks_of_group = one_rank_each(settings_.groups)});
  pause_s_ = std::chrono::duration<double>(desk_->pause()).count();
  ++coordinators_;
}

// At moments that are spread over the time that the sweep would take without deaths. The last group
// stays.
void Simulation::plan_deaths() {
  double work = 0;
  for (const auto& trial : cluster_.trials) work += static_cast<double>(trial.epochs);
  const double expected = work * settings_.epoch_s / capacity_until(1);
  for (int rank = 1; rank + 1 < settings_.groups; ++rank) {
    if (share_of(settings_.seed, Chance::kDeath, rank) >= settings_.deaths) continue;
    time_.plan(expected * share_of(settings_.seed, Chance::kWhen, rank),
               [this, rank] { rank == in_charge_ ? lose_coordinator() : kill(rank); });
  }
  for (int64_t i = 1; i <= settings_.takeovers; ++i)
    time_.plan(expected * static_cast<double>(i) / static_cast<double>(settings_.takeovers + 1),
               [this] { lose_coordinator(); });
}

void Simulation::kill(int rank) {
  if (groups_[rank].died_s()) return;
  groups_[rank].die();
  if (share_of(settings_.seed, Chance::kLetters, rank) < 0.5) mailbox_.lose_letters_of(rank);
  time_.plan(time_.now() + settings_.death_known_s, [this, rank] { mailbox_.note_lost(rank); });
}

// The next rank that lives takes over as soon as the death is known; leaders that wait for orders
// report to it.
void Simulation::lose_coordinator() {
  if (!desk_ || in_charge_ + 1 == settings_.groups) return;
  kill(in_charge_);
  desk_.reset();
  coordinator_.reset();
  mailbox_.lose_coordinator();
  while (groups_[in_charge_].died_s()) ++in_charge_;
  time_.plan(time_.now() + settings_.death_known_s, [this] {
    begin_to_coordinate(cluster::Beginning::kTakeover);
    for (auto& group : groups_) group.report_again();
  });
}

SimulationResult Simulation::run() {
  double next = 0;
  while (!result_.stuck && !(desk_ && desk_->everybody_left())) {
    time_.advance_to(next);
    if (desk_) turn();
    next = next_turn();
  }
  judge();
  return result_;
}

void Simulation::turn() {
  const auto begin = Clock::now();
  const double cpu = cpu_seconds();
  const double now = time_.now();
  desk_->turn(at<Clock::time_point>(now), at<sweep::Time>(now));
  coordinator_->take_notes();
  if (now - viewed_s_ >= kViewPause) {
    viewed_s_ = now;
    coordinator_->status();
  }
  const double busy = cpu_seconds() - cpu;
  result_.coordinator_s += busy;
  if (settings_.work_takes_time)  // CPU time, which other programs disturb least, or the disk's
    time_.advance_to(now + (settings_.sync == sweep::Ledger::Sync::kNever
                                ? busy
                                : trainer::seconds_since(begin)));
  const int64_t coordinator = coordinators_;
  mailbox_.take_away([this, coordinator](int rank, const std::string& letter) {
    time_.plan(time_.now() + settings_.answer_s, [this, coordinator, rank, letter] {
      if (desk_ && coordinators_ == coordinator) return groups_[rank].take(letter);
      // Some of what one that has died since has sent does not come.
      if (share_of(settings_.seed, Chance::kLetters, rank + coordinator) < 0.5)
        groups_[rank].take(letter);
    });
  });
}

// Turns without anything to do are counted, and left out.
double Simulation::next_turn() {
  const double soonest = time_.now() + pause_s_;
  ++result_.turns;
  if (mailbox_.any_letter()) return soonest;
  const auto event = time_.next();
  if (event) last_event_s_ = *event;
  if (soonest > last_event_s_ + kPatience) result_.stuck = true;
  const double skipped = event ? std::max(0.0, std::ceil((*event - soonest) / pause_s_)) : 0;
  result_.turns += static_cast<int64_t>(skipped);
  return soonest + skipped * pause_s_;
}

// --- What came of it -----------------------------------------------------------------------------

void Simulation::judge() {
  const auto status = coordinator_->status();
  result_.trials = sweep_.space.trials();
  result_.complete = status.complete;
  result_.pruned = status.pruned;
  result_.failed = status.failed;
  result_.completed_twice = cluster_.completed_twice;
  result_.trained_at_once = cluster_.trained_at_once;
  result_.failure = desk_->failure();
  result_.letters = mailbox_.letters();
  for (const auto& trial : cluster_.trials)
    if (trial.begun_s) result_.queue_empty_s = std::max(result_.queue_empty_s, *trial.begun_s);
  double useful = 0, there = 0;
  for (const auto& group : groups_) {
    there += std::min(result_.queue_empty_s, group.died_s().value_or(result_.queue_empty_s));
    for (const auto& work : group.work()) {
      const double end = std::min(work.end_s, result_.queue_empty_s);
      useful += work.useful * std::max(0.0, end - work.begin_s);
      result_.makespan_s = std::max(result_.makespan_s, work.end_s);
    }
  }
  result_.utilisation = there > 0 ? useful / there : 1;
  result_.lower_bound_s = lower_bound();
}

double Simulation::capacity_until(double time) const {
  double sum = 0;
  for (const auto& group : groups_)
    sum += std::min(time, group.died_s().value_or(time)) / group.slowness();
  return sum;
}

// The groups' whole capacity must suffice for the epochs that were needed, and no trial can be
// faster than on an ordinary group.
double Simulation::lower_bound() const {
  double work = 0, longest = 0;
  for (const auto& trial : cluster_.trials) {
    const double seconds = settings_.epoch_s * static_cast<double>(trial.epochs_done);
    work += seconds;
    longest = std::max(longest, seconds);
  }
  double low = longest, high = std::max(longest, result_.makespan_s);
  if (capacity_until(low) >= work) return low;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = 0.5 * (low + high);
    (capacity_until(middle) < work ? low : high) = middle;
  }
  return high;
}

}  // namespace

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

SimulationResult simulate(const sweep::SweepConfig& sweep, const SimulationSettings& settings,
                          const std::filesystem::path& ledger) {
  return Simulation(sweep, settings, ledger).run();
}

}  // namespace elbow::launch::simulation
