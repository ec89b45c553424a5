#include "launch/cluster/coordinator_thread.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "launch/cluster/succession.h"
#include "launch/exit_code.h"

namespace elbow::launch::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kShowPause{500};
constexpr std::chrono::milliseconds kOfficePause{50};

}  // namespace

CoordinatorThread::CoordinatorThread(CoordinatorParts parts) : parts_(std::move(parts)) {
  thread_ = std::thread([this] { serve(); });
}

CoordinatorThread::~CoordinatorThread() {
  quit_ = true;
  if (thread_.joinable()) thread_.join();
}

std::optional<int> CoordinatorThread::end() {
  quit_ = true;
  thread_.join();
  return exit_code_;
}

void CoordinatorThread::serve() {
  if (!wait_for_office()) return;
  try {
    ended_ = parts_.end_is_written();
    start_ = Clock::now();
    work(parts_.take_office());
  } catch (const std::exception& error) {
    parts_.give_up(error);
  }
}

bool CoordinatorThread::wait_for_office() {
  while (in_charge(parts_.mailbox) != parts_.mailbox.rank()) {
    if (quit_) return false;
    std::this_thread::sleep_for(kOfficePause);
  }
  return true;
}

void CoordinatorThread::work(Coordinator& coordinator) {
  CoordinatorDesk desk({.coordinator = coordinator,
                        .mailbox = parts_.mailbox,
                        .ranks_of_group = parts_.ranks_of_group});
  if (ended_) desk.dismiss();
  while (!quit_) {
    desk.turn(Clock::now(), std::chrono::system_clock::now());
    const auto notes = coordinator.take_notes();
    for (const auto& sentence : notes) parts_.view.note(sentence);
    if (!notes.empty()) shown_ = {};  // what they tell is seen at once
    if (!ended_) show(coordinator);
    if (!ended_ && desk.everybody_said_farewell()) write_end(desk);
    std::this_thread::sleep_for(desk.pause());
  }
}

// Before anybody is dismissed.
void CoordinatorThread::write_end(CoordinatorDesk& desk) {
  parts_.view.end();
  try {
    exit_code_ = parts_.write_end(desk.failure());
  } catch (const std::exception& error) {
    fmt::print(stderr, "elbow: {}\n", error.what());
    exit_code_ = static_cast<int>(exit_code_of(error));
  }
  ended_ = true;
  desk.dismiss();
}

void CoordinatorThread::show(const Coordinator& coordinator) {
  if (Clock::now() - shown_ < kShowPause) return;
  shown_ = Clock::now();
  SweepMoment moment{
      .status = coordinator.status(),
      .seconds = std::chrono::duration<double>(shown_ - start_).count(),
      .measured_seconds = measured_seconds_,
      .epochs_per_trial = static_cast<double>(parts_.sweep.base.settings.train.epochs),
      .metric = parts_.sweep.settings.metric};
  if (moment.status.epochs != measured_) {
    measured_ = moment.status.epochs;
    measured_seconds_ = moment.measured_seconds = moment.seconds;
  }
  if (moment.status.best)
    moment.best = described(parts_.sweep, parts_.sweep.space.trial(*moment.status.best));
  parts_.view.show(moment);
}

}  // namespace elbow::launch::cluster
