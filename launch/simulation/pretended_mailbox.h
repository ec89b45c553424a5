// The boxes of a launch of as many ranks as there are groups, in virtual time. One of them, whoever
// that is at a time, reads as the coordinator.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/mailbox.h"
#include "launch/simulation/virtual_time.h"

namespace elbow::launch::simulation {

class PretendedMailbox final : public comm::Mailbox {
 public:
  // letter_s: how long a letter is on its way.
  PretendedMailbox(VirtualTime& time, int ranks, double letter_s)
      : time_(time), letter_s_(letter_s), inboxes_(ranks), lost_(ranks), silent_(ranks) {}

  // --- The coordinator's side: what the desk sees.
  int rank() const override { return 0; }
  int size() const override { return static_cast<int>(inboxes_.size()); }
  bool send(int to, Box, const std::string& letter) override;
  std::optional<std::string> receive(int from, Box) override;
  bool lost(int rank) override { return lost_[rank]; }

  // --- The groups' side, and that of whoever drives the desk.
  void post(int from, std::string letter);
  void note_lost(int rank) { lost_[rank] = true; }
  void lose_letters_of(int rank) { silent_[rank] = true; }  // that are on their way
  // The coordinator has died, with all that it has not read.
  void lose_coordinator();
  // What the desk has sent leaves it now; deliver(rank, letter) is called as each arrives.
  void take_away(const std::function<void(int, const std::string&)>& deliver);

  bool any_letter() const { return waiting_ > 0; }
  int64_t letters() const { return letters_; }  // in both directions

 private:
  VirtualTime& time_;
  double letter_s_;
  std::vector<std::deque<std::string>> inboxes_;  // by rank that wrote
  std::vector<bool> lost_, silent_;
  std::vector<std::pair<int, std::string>> outbox_;
  int64_t waiting_ = 0, letters_ = 0;
  int64_t coordinators_ = 1;  // so far
};

}  // namespace elbow::launch::simulation
