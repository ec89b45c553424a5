// The ranks of this launch, as a verb sees them: what all must do together, and how all leave with
// one exit code and one sentence.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "comm/communicator.h"
#include "comm/mpi_session.h"
#include "launch/exit_code.h"
#include "launch/rank_log.h"

namespace elbow::launch {

// An error that all ranks know of, so that all can leave in order. Its sentence is empty on ranks
// that need not print it.
class SharedError : public std::runtime_error {
 public:
  SharedError(ExitCode code, const std::string& sentence)
      : std::runtime_error(sentence), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

class World {
 public:
  // Starts MPI; a process without a launcher is a world of one. Throws comm::Error.
  World();

  comm::MpiSession& session() { return session_; }
  comm::Communicator& ranks() { return *ranks_; }
  // What this rank has done so far.
  RankLog& log() { return log_; }

  // Every rank calls it with work of its own. Where the work throws on any rank, SharedError is
  // thrown on all, with the sentence of the lowest such rank. comm::PeerLost passes through.
  void together(const std::function<void()>& work);

  // Rank 0 makes a text; every rank gets it. What rank 0 throws becomes a SharedError.
  std::string from_rank_0(const std::function<std::string()>& make);

  // Runs a verb on every rank and leaves MPI with all ranks at once. Prints the sentences of
  // errors; one that not all ranks know of ends the whole job. Returns the exit code; does not
  // return where a peer was lost.
  ExitCode run(const std::function<ExitCode()>& verb);

 private:
  ExitCode leave(ExitCode code);
  std::string by_this_rank(const std::exception& error) const;

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  comm::MpiSession session_;
  std::unique_ptr<comm::Communicator> ranks_;
  RankLog log_;
};

// True where mpirun or srun started this process as one of a job's ranks.
bool under_launcher();

}  // namespace elbow::launch
