#include "launch/simulation/simulation.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>

#include "launch/cluster/coordinator_desk.h"
#include "launch/simulation/pretended_training.h"
#include "launch/sweep/study_head.h"

namespace elbow::launch::simulation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kViewPause = 0.5;  // as of a sweep's view
constexpr double kPatience = 10;    // virtual seconds without an event before all counts as stuck

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

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
  void turn();
  double next_turn(double soonest);
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
  cluster::Coordinator coordinator_;
  cluster::CoordinatorDesk desk_;
  double viewed_s_ = 0, last_event_s_ = 0;
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
      ledger_(sweep::Ledger::create(file, study_head(sweep, {}), settings.sync)),
      coordinator_(sweep, ledger_, {}, hosts_of(settings.groups)),
      desk_({.coordinator = coordinator_,
             .mailbox = mailbox_,
             .ranks_of_group = one_rank_each(settings.groups)}) {
  for (int64_t trial = 0; trial < sweep.space.trials(); ++trial)
    cluster_.trials.push_back(
        {.epochs = config_of(sweep, sweep.space.trial(trial)).settings.train.epochs});
  for (int64_t group = 0; group < settings.groups; ++group) {
    groups_.emplace_back(cluster_, group);
    time_.plan(0, [&group = groups_.back()] { group.report(); });
  }
  plan_deaths();
  result_.start_s = seconds_since(start_);
}

// At moments that are spread over the time that the sweep would take without deaths. Group 0 stays:
// it is the coordinator's.
void Simulation::plan_deaths() {
  double work = 0;
  for (const auto& trial : cluster_.trials) work += static_cast<double>(trial.epochs);
  const double expected = work * settings_.epoch_s / capacity_until(1);
  for (int64_t number = 1; number < settings_.groups; ++number) {
    if (share_of(settings_.seed, Chance::kDeath, number) >= settings_.deaths) continue;
    const double when = expected * share_of(settings_.seed, Chance::kWhen, number);
    const int rank = static_cast<int>(number);
    time_.plan(when, [this, rank] {
      groups_[rank].die();
      if (share_of(settings_.seed, Chance::kLetters, rank) < 0.5) mailbox_.lose_letters_of(rank);
    });
    time_.plan(when + settings_.death_known_s, [this, rank] { mailbox_.note_lost(rank); });
  }
}

SimulationResult Simulation::run() {
  double next = 0;
  while (!desk_.everybody_left() && !result_.stuck) {
    time_.advance_to(next);
    turn();
    next = next_turn(time_.now() + std::chrono::duration<double>(desk_.pause()).count());
  }
  judge();
  return result_;
}

void Simulation::turn() {
  const auto begin = Clock::now();
  const double cpu = cpu_seconds();
  const double now = time_.now();
  desk_.turn(at<Clock::time_point>(now), at<sweep::Time>(now));
  coordinator_.take_notes();
  if (now - viewed_s_ >= kViewPause) {
    viewed_s_ = now;
    coordinator_.status();
  }
  result_.coordinator_s += cpu_seconds() - cpu;
  if (settings_.work_takes_time) time_.advance_to(now + seconds_since(begin));
  mailbox_.take_away([this](int rank, const std::string& letter) {
    time_.plan(time_.now() + settings_.answer_s,
               [this, rank, letter] { groups_[rank].take(letter); });
  });
}

// Turns without anything to do are counted, and left out.
double Simulation::next_turn(double soonest) {
  const double pause = std::chrono::duration<double>(desk_.pause()).count();
  ++result_.turns;
  if (mailbox_.any_letter()) return soonest;
  const auto event = time_.next();
  if (event) last_event_s_ = *event;
  if (soonest > last_event_s_ + kPatience) result_.stuck = true;
  const double skipped = event ? std::max(0.0, std::ceil((*event - soonest) / pause)) : 0;
  result_.turns += static_cast<int64_t>(skipped);
  return soonest + skipped * pause;
}

// --- What came of it -----------------------------------------------------------------------------

void Simulation::judge() {
  const auto status = coordinator_.status();
  result_.trials = sweep_.space.trials();
  result_.complete = status.complete;
  result_.pruned = status.pruned;
  result_.failed = status.failed;
  result_.completed_twice = cluster_.completed_twice;
  result_.trained_at_once = cluster_.trained_at_once;
  result_.failure = desk_.failure();
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

SimulationResult simulate(const sweep::SweepConfig& sweep, const SimulationSettings& settings,
                          const std::filesystem::path& ledger) {
  return Simulation(sweep, settings, ledger).run();
}

}  // namespace elbow::launch::simulation
