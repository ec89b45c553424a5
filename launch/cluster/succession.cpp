#include "launch/cluster/succession.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "launch/cluster/messages.h"

namespace elbow::launch::cluster {
namespace {

using Box = comm::Mailbox::Box;
constexpr std::chrono::milliseconds kLongestPause{20};

bool dismissed_by(int coordinator, comm::Mailbox& mailbox) {
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    while (const auto letter = mailbox.receive(coordinator, Box::kGroup))
      if (orders_from(*letter).dismissed) return true;
    if (mailbox.lost(coordinator)) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace

int in_charge(comm::Mailbox& mailbox) {
  int rank = 0;
  while (rank < mailbox.rank() && mailbox.lost(rank)) ++rank;
  return rank;
}

void say_farewell(comm::Mailbox& mailbox, comm::Communicator& world, int64_t group) {
  const comm::Communicator::Waiting waiting(world);
  const auto farewell = letter_of(Report{.group = group, .farewell = true});
  while (true) {
    const int coordinator = in_charge(mailbox);
    if (mailbox.send(coordinator, Box::kCoordinator, farewell) &&
        dismissed_by(coordinator, mailbox))
      return;
  }
}

}  // namespace elbow::launch::cluster
