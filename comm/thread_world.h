// N ranks as N threads of one process, for tests: deterministic, and it can be told to lose or
// freeze a rank. Not for training: one process with more ATen threads is faster.
//
// Sums are added in rank order by one thread, so every rank gets the same bits.
// A lost rank leaves with RankKilled from its next, or current, operation; its peers get PeerLost.
// A frozen rank stays in its next operation; once a peer has waited for it for `deadline`, the
// frozen rank is lost as if it had been killed. Any thread may call lose(), freeze() and leave(). CPU
// tensors only.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace elbow::comm {

// Ends the thread of a rank that was lost. Not a std::exception: no handler of the code under test
// takes it for an error.
struct RankKilled {
  int rank;  // in the world
};

struct ThreadOptions {
  // How long a peer may keep others waiting.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
  // Per rank, to play several hosts; empty: all on this one.
  std::vector<std::string> hosts = {};
};

struct ThreadWorldState;

class ThreadWorld {
 public:
  explicit ThreadWorld(int size, ThreadOptions options = {});
  ~ThreadWorld();
  ThreadWorld(const ThreadWorld&) = delete;
  ThreadWorld& operator=(const ThreadWorld&) = delete;

  int size() const;

  // The group of all ranks as seen by `rank`, to be used by that rank's thread. May outlive the
  // ThreadWorld.
  std::unique_ptr<Communicator> communicator(int rank);

  void lose(int rank);
  void freeze(int rank);
  void leave(int rank);  // the rank's thread has ended: whoever still waits for it gets PeerLost

 private:
  struct Everyone;
  std::shared_ptr<ThreadWorldState> state_;
  std::unique_ptr<Everyone> everyone_;  // the group of all ranks
};

}  // namespace elbow::comm
