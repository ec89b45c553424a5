// How the survivors of a lost rank find each other again: who is left, and who holds the newest
// state. What is done with the answers is the trial's business.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "trainer/checkpoint.h"

namespace elbow::trainer {

// How far a rank has come. A collective may succeed on one rank and fail on another, so survivors
// can differ; the largest is the newest.
struct Standing {
  int64_t rollbacks = 0;  // first: after one, the steps before it count no more
  int64_t step = 0;
  int64_t epochs_done = 0;  // evaluated
  bool trained = false;     // nothing is left but to write it down
  auto operator<=>(const Standing&) const = default;
};

// The lowest rank that has come furthest, or -1 where all have come as far. Every rank calls it and
// gets the same answer. Throws comm::PeerLost.
int newest_rank(comm::Communicator& ranks, const Standing& mine);

// A hash of what a survivor sends to others, and the check that all have the same. Throws
// comm::PeerLost where they have not.
uint64_t digest_of(const Checkpoint& state, const at::Tensor& trace);
void require_same(comm::Communicator& ranks, uint64_t digest);

// The ranks that are left, by the numbers that they had at first.
class Members {
 public:
  explicit Members(comm::Communicator& ranks);

  // Every survivor calls it, in the survivors' group. Returns who has been lost since the last
  // call: "rank 2 on node07". Throws comm::PeerLost, and nothing has then changed.
  std::vector<std::string> reduce_to(comm::Communicator& survivors);

  int number() const { return own_; }  // this rank's
  int lowest() const { return static_cast<int>(numbers_.front()); }

 private:
  int own_;
  std::vector<int64_t> numbers_;    // ascending
  std::vector<std::string> hosts_;  // by number
};

}  // namespace elbow::trainer
