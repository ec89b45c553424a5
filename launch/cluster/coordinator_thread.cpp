#include "launch/cluster/coordinator_thread.h"

#include <algorithm>
#include <utility>

namespace elbow::launch::cluster {
namespace {

using Clock = std::chrono::steady_clock;
using Box = comm::Mailbox::Box;

constexpr std::chrono::milliseconds kPause{2};
constexpr std::chrono::milliseconds kDeathPause{200};
constexpr std::chrono::milliseconds kShowPause{500};

}  // namespace

CoordinatorThread::CoordinatorThread(CoordinatorParts parts) : parts_(std::move(parts)) {
  for (const auto& ranks : parts_.ranks_of_group) leaders_.push_back(ranks.front());
  thread_ = std::thread([this] { serve(); });
}

CoordinatorThread::~CoordinatorThread() {
  quit_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string CoordinatorThread::join() {
  thread_.join();
  return failure_;
}

void CoordinatorThread::serve() {
  while (!quit_ && !everybody_left()) {
    const bool read = read_letters();
    const bool died = look_for_the_dead();
    for (const auto& sentence : parts_.coordinator.take_notes()) parts_.view.note(sentence);
    show();
    if (!read && !died) std::this_thread::sleep_for(kPause);
  }
}

bool CoordinatorThread::everybody_left() const {
  return failure_.empty() ? parts_.coordinator.everybody_left()
                          : sent_away_.size() == parts_.ranks_of_group.size();
}

// One report of each group at a time: where a leader has died there may be a second one, of its
// successor.
bool CoordinatorThread::read_letters() {
  std::vector<Report> reports;
  for (int rank = 0; rank < parts_.mailbox.size(); ++rank) {
    auto& held = held_[rank];
    if (!held)
      if (const auto letter = parts_.mailbox.receive(rank, Box::kCoordinator))
        held = report_from(*letter);
    if (!held || std::ranges::find(reports, held->group, &Report::group) != reports.end()) continue;
    leaders_.at(held->group) = rank;
    reports.push_back(*std::exchange(held, std::nullopt));
  }
  if (reports.empty()) return false;
  send(guarded([&] { return parts_.coordinator.answer(reports, std::chrono::system_clock::now()); },
               reports));
  return true;
}

bool CoordinatorThread::look_for_the_dead() {
  if (Clock::now() - looked_ < kDeathPause) return false;
  looked_ = Clock::now();
  bool found = false;
  for (int rank = 0; rank < parts_.mailbox.size(); ++rank)
    if (!dead_.contains(rank) && parts_.mailbox.lost(rank)) found = dead_.insert(rank).second;
  if (!found) return false;
  for (size_t i = 0; i < parts_.ranks_of_group.size(); ++i) {
    const auto group = static_cast<int64_t>(i);
    if (!std::ranges::all_of(parts_.ranks_of_group[i], [&](int r) { return dead_.contains(r); }))
      continue;
    sent_away_.insert(group);
    send(guarded([&] { return parts_.coordinator.lose(group, std::chrono::system_clock::now()); },
                 {}));
  }
  return true;
}

// Where the ledger cannot be written any more, nothing new may begin: all groups are sent away, and
// what they have trained is in their checkpoints.
CoordinatorThread::Answers CoordinatorThread::guarded(const std::function<Answers()>& work,
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

void CoordinatorThread::send(const Answers& answers) {
  for (const auto& [group, orders] : answers)
    parts_.mailbox.send(leaders_.at(group), Box::kGroup, letter_of(orders));
}

void CoordinatorThread::show() {
  if (Clock::now() - shown_ < kShowPause) return;
  shown_ = Clock::now();
  SweepMoment moment{
      .status = parts_.coordinator.status(),
      .seconds = std::chrono::duration<double>(Clock::now() - start_).count(),
      .epochs_per_trial = static_cast<double>(parts_.sweep.base.settings.train.epochs),
      .metric = parts_.sweep.settings.metric};
  if (moment.status.best)
    moment.best = described(parts_.sweep, parts_.sweep.space.trial(*moment.status.best));
  parts_.view.show(moment);
}

}  // namespace elbow::launch::cluster
