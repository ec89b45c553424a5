#include "launch/cluster/coordinator_desk.h"

#include <algorithm>

namespace elbow::launch::cluster {
namespace {

using Box = comm::Mailbox::Box;

constexpr std::chrono::microseconds kPause{2000}, kPausePerRank{20};
constexpr std::chrono::milliseconds kDeathPause{200};

}  // namespace

CoordinatorDesk::CoordinatorDesk(DeskParts parts) : parts_(std::move(parts)) {
  for (const auto& ranks : parts_.ranks_of_group) leaders_.push_back(ranks.front());
}

std::chrono::microseconds CoordinatorDesk::pause() const {
  return std::max(kPause, kPausePerRank * parts_.mailbox.size());
}

bool CoordinatorDesk::turn(Clock::time_point now, sweep::Time wall) {
  const bool read = read_letters(wall);
  const bool died = look_for_the_dead(now, wall);
  return read || died;
}

bool CoordinatorDesk::everybody_left() const {
  return failure_.empty() ? parts_.coordinator.everybody_left()
                          : sent_away_.size() == parts_.ranks_of_group.size();
}

// One report of each group at a time: where a leader has died there may be a second one, of its
// successor. What a rank wrote before it was known to be dead comes too late: others have its work.
bool CoordinatorDesk::read_letters(sweep::Time wall) {
  std::vector<Report> reports;
  std::set<int64_t> heard;
  for (int rank = 0; rank < parts_.mailbox.size(); ++rank) {
    if (dead_.contains(rank)) continue;
    auto& held = held_[rank];
    if (!held)
      if (const auto letter = parts_.mailbox.receive(rank, Box::kCoordinator))
        held = report_from(*letter);
    if (held && held->farewell) take_farewell(rank, std::exchange(held, std::nullopt)->group, wall);
    if (!held || !heard.insert(held->group).second) continue;
    leaders_.at(held->group) = rank;
    reports.push_back(*std::exchange(held, std::nullopt));
  }
  if (reports.empty()) return false;
  send(guarded([&] { return parts_.coordinator.answer(reports, wall); }, reports));
  return true;
}

void CoordinatorDesk::take_farewell(int rank, int64_t group, sweep::Time wall) {
  farewells_.insert(rank);
  sent_away_.insert(group);
  send(guarded([&] { return parts_.coordinator.let_go(group, wall); }, {}));
  if (dismissing_) dismiss(rank);
}

bool CoordinatorDesk::everybody_said_farewell() const {
  for (int rank = 0; rank < parts_.mailbox.size(); ++rank)
    if (!farewells_.contains(rank) && !dead_.contains(rank)) return false;
  return true;
}

void CoordinatorDesk::dismiss() {
  dismissing_ = true;
  for (const int rank : farewells_) dismiss(rank);
}

void CoordinatorDesk::dismiss(int rank) {
  parts_.mailbox.send(rank, Box::kGroup, letter_of(Orders{.dismissed = true}));
}

bool CoordinatorDesk::look_for_the_dead(Clock::time_point now, sweep::Time wall) {
  if (looked_ && now - *looked_ < kDeathPause) return false;
  looked_ = now;
  bool found = false;
  for (int rank = 0; rank < parts_.mailbox.size(); ++rank)
    if (!dead_.contains(rank) && parts_.mailbox.lost(rank)) found = dead_.insert(rank).second;
  if (!found) return false;
  for (size_t i = 0; i < parts_.ranks_of_group.size(); ++i) {
    const auto group = static_cast<int64_t>(i);
    if (!std::ranges::all_of(parts_.ranks_of_group[i], [&](int r) { return dead_.contains(r); }))
      continue;
    sent_away_.insert(group);
    send(guarded([&] { return parts_.coordinator.lose(group, wall); }, {}));
  }
  return true;
}

// Where the ledger cannot be written any more, nothing new may begin: all groups are sent away, and
// what they have trained is in their checkpoints.
CoordinatorDesk::Answers CoordinatorDesk::guarded(const std::function<Answers()>& work,
                                                  const std::vector<Report>& reports) {
  constexpr int kResumable = 75;
  if (failure_.empty()) {
    try {
      return work();
    } catch (const std::exception& error) {
      failure_ = error.what();
      parts_.coordinator.stop(failure_);
    }
  }
  Answers answers;
  const auto send_away = [&](int64_t group, int64_t number) {
    if (!sent_away_.insert(group).second) return;
    answers.emplace_back(group, Orders{.number = number, .leave = true, .exit_code = kResumable});
  };
  for (const auto& report : reports) send_away(report.group, report.number);
  for (const auto& [group, number] : parts_.coordinator.who_waits()) send_away(group, number);
  return answers;
}

void CoordinatorDesk::send(const Answers& answers) {
  for (const auto& [group, orders] : answers)
    parts_.mailbox.send(leaders_.at(group), Box::kGroup, letter_of(orders));
}

}  // namespace elbow::launch::cluster
