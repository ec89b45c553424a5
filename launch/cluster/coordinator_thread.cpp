#include "launch/cluster/coordinator_thread.h"

#include <utility>

namespace elbow::launch::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kShowPause{500};

}  // namespace

CoordinatorThread::CoordinatorThread(CoordinatorParts parts)
    : parts_(std::move(parts)),
      desk_({.coordinator = parts_.coordinator,
             .mailbox = parts_.mailbox,
             .ranks_of_group = parts_.ranks_of_group}) {
  thread_ = std::thread([this] { serve(); });
}

CoordinatorThread::~CoordinatorThread() {
  quit_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string CoordinatorThread::join() {
  thread_.join();
  return desk_.failure();
}

void CoordinatorThread::serve() {
  while (!quit_ && !desk_.everybody_left()) {
    desk_.turn(Clock::now(), std::chrono::system_clock::now());
    for (const auto& sentence : parts_.coordinator.take_notes()) parts_.view.note(sentence);
    show();
    std::this_thread::sleep_for(desk_.pause());
  }
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
