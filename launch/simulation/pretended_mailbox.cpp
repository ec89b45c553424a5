#include "launch/simulation/pretended_mailbox.h"

namespace elbow::launch::simulation {

bool PretendedMailbox::send(int to, Box, const std::string& letter) {
  outbox_.emplace_back(to, letter);
  return !lost_[to];
}

std::optional<std::string> PretendedMailbox::receive(int from, Box) {
  auto& inbox = inboxes_[from];
  if (inbox.empty()) return std::nullopt;
  auto letter = std::move(inbox.front());
  inbox.pop_front();
  --waiting_;
  return letter;
}

void PretendedMailbox::post(int from, std::string letter) {
  ++letters_;
  const auto arrive = [this, from, letter = std::move(letter), to = coordinators_] {
    if (silent_[from] || to != coordinators_) return;
    inboxes_[from].push_back(letter);
    ++waiting_;
  };
  time_.plan(time_.now() + letter_s_, arrive);
}

void PretendedMailbox::lose_coordinator() {
  ++coordinators_;
  waiting_ = 0;
  for (auto& inbox : inboxes_) inbox.clear();
}

void PretendedMailbox::take_away(const std::function<void(int, const std::string&)>& deliver) {
  letters_ += static_cast<int64_t>(outbox_.size());
  for (auto& [to, letter] : std::exchange(outbox_, {}))
    time_.plan(time_.now() + letter_s_,
               [deliver, to = to, letter = std::move(letter)] { deliver(to, letter); });
}

}  // namespace elbow::launch::simulation
