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
  time_.plan(time_.now() + letter_s_, [this, from, letter = std::move(letter)]() mutable {
    if (silent_[from]) return;
    inboxes_[from].push_back(std::move(letter));
    ++waiting_;
  });
}

void PretendedMailbox::take_away(const std::function<void(int, const std::string&)>& deliver) {
  letters_ += static_cast<int64_t>(outbox_.size());
  for (auto& [to, letter] : std::exchange(outbox_, {}))
    time_.plan(time_.now() + letter_s_,
               [deliver, to = to, letter = std::move(letter)] { deliver(to, letter); });
}

}  // namespace elbow::launch::simulation
