// The scope in which this process is a rank of an MPI job; a process without a launcher is a world
// of one. One per process.
//
// Construction asks Open MPI for what elbow needs (mpi_settings.h says what, and leaves alone what
// the user has set), ignores SIGPIPE (writing to a dead peer would end a healthy rank), sees to it
// that the rank dies with its launcher, gives each of several ranks a guard (guard.h), and
// initialises MPI with thread level MULTIPLE. It takes 0.1 s.
//
// Ending, three ways:
// - close(code), then return from main. Every rank calls it, whatever the exit code is; it waits
//   for all ranks, because mpirun kills the others when the first one leaves with a code other
//   than 0.
// - close(code), then _exit(code), after a lost peer (healthy() is false): MPI_Finalize could hang,
//   so MPI stays open and static destructors must not run.
// - abort(code), when this rank cannot go on and the others do not know: ends the whole job.
// Communicators are destroyed before close(). Errors: comm::Error from construction and close().
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace elbow::comm {

class Heartbeat;
class HeartbeatPage;
class LauncherWatch;
class MpiPulse;
struct WatchRules;

class MpiSession {
 public:
  MpiSession();
  ~MpiSession();  // without close(), and with other ranks alive, aborts the job
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this host
  int local_size() const { return local_size_; }
  const std::string& host(int rank) const { return hosts_.at(rank); }

  // Whether the death of a peer becomes PeerLost and can be healed. Otherwise it ends the job.
  bool fault_tolerant() const { return fault_tolerant_; }
  // Whether that holds for a host that cannot be reached any more, too.
  bool survives_lost_hosts() const { return pulse_ != nullptr; }

  bool healthy() const { return healthy_; }    // false once a communicator has met a lost peer
  void note_lost_peer() { healthy_ = false; }  // for communicators; any thread

  // What this rank publishes; null in a world of one.
  Heartbeat* heartbeat() { return heartbeat_; }
  // From now on the guard judges this rank by these rules.
  void watch(const WatchRules& rules);

  // exit_code: of this process, which leaves with it at once where MPI does not end within
  // `patience`: all have agreed to leave, but one was lost before MPI had ended.
  void close(int exit_code, std::chrono::milliseconds patience = std::chrono::seconds(30));
  [[noreturn]] void abort(int exit_code);

 private:
  bool start_heartbeat();  // whether this rank has a guard
  void learn_the_world();

  std::shared_ptr<HeartbeatPage> page_;  // of this host; null in a world of one
  std::string page_name_;
  Heartbeat* heartbeat_ = nullptr;
  std::unique_ptr<LauncherWatch> launcher_watch_;  // of a rank without a guard
  std::unique_ptr<MpiPulse> pulse_;                // where MPI looks for ranks that do not answer
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  std::vector<std::string> hosts_;  // per rank of the world
  bool fault_tolerant_ = false;
  bool closed_ = false;
  std::atomic<bool> healthy_ = true;
};

// Name and version of the MPI library, one line.
std::string mpi_library();

// "MPI_THREAD_MULTIPLE", or what less MPI grants. After a session has begun.
std::string mpi_thread_level();

}  // namespace elbow::comm
