// Errors of this layer. Every sentence names rank and host, so that a line of a log of many ranks
// can be understood alone.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace elbow::comm {

// Anything that MPI, NCCL or the launch did wrong and that no retry of ours can mend.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The GPU that was asked for is not there. All ranks know, and say so in the same sentence.
class NoDevice : public Error {
 public:
  using Error::Error;
};

// A peer is gone, so a collective could not finish. Thrown on every survivor. After it only
// shrink() and destruction of the communicator are allowed.
class PeerLost : public Error {
 public:
  // `rank`, `host`: the lost peer, -1 and "" where the backend cannot tell. `step`, `phase`: what
  // the caller was doing.
  PeerLost(int rank, std::string host, int64_t step, std::string phase,
           const std::string& operation);

  int rank() const { return rank_; }
  const std::string& host() const { return host_; }
  int64_t step() const { return step_; }
  const std::string& phase() const { return phase_; }

 private:
  int rank_;
  std::string host_;
  int64_t step_;
  std::string phase_;
};

}  // namespace elbow::comm
