#include "comm/mpi_session.h"

#include <fmt/format.h>
#include <mpi.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "comm/communicators.h"
#include "comm/deadline.h"
#include "comm/error.h"
#include "comm/guard.h"
#include "comm/heartbeat.h"
#include "comm/launcher_watch.h"
#include "comm/mpi_pulse.h"
#include "comm/mpi_settings.h"
#include "comm/ulfm.h"

namespace elbow::comm {
namespace {

#ifdef OMPI_MAJOR_VERSION
constexpr int kOpenMpiMajor = OMPI_MAJOR_VERSION;
#else
constexpr int kOpenMpiMajor = 0;
#endif
constexpr size_t kHostBytes = 256;
constexpr std::chrono::seconds kStartPatience{300};  // hundreds of ranks need a minute
constexpr int kResumable = 75;                       // nothing is lost: "not finished, resumable"

std::string in_seconds(std::chrono::duration<double> time) {
  return fmt::format("{:g} s", time.count());
}

void check(int code, const char* operation) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(fmt::format("{} failed on {}: {}", operation, this_host(), text));
}

}  // namespace

MpiSession::MpiSession() {
  const bool has_guard = start_heartbeat();  // forks: first, while there is one thread
  if (!has_guard) launcher_watch_ = std::make_unique<LauncherWatch>();
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized != 0) throw Error("MPI is initialised already: a process has one MpiSession");
  signal(SIGPIPE, SIG_IGN);
  for (const auto& [name, value] : mpi_settings(process_environment, kOpenMpiMajor)) {
    setenv(name.c_str(), value.c_str(), /*overwrite=*/0);
  }
  int provided = 0;
  {
    const Deadline deadline(
        kStartPatience, kResumable,
        fmt::format("MPI has not started on this rank within {}, because another rank was lost or "
                    "cannot be reached: start the same command again",
                    in_seconds(kStartPatience)));
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  try {
    if (provided < MPI_THREAD_MULTIPLE) {
      throw Error(
          "this MPI was built without support for threads; elbow needs MPI_THREAD_MULTIPLE");
    }
    learn_the_world();
  } catch (...) {
    pulse_.reset();
    MPI_Finalize();
    throw;
  }
}

// The ranks of a host find the same memory by the job's name, which stays only until all have it.
bool MpiSession::start_heartbeat() {
  const auto place = launched_place(process_environment);
  if (!place || place->size < 2 || place->rank >= HeartbeatPage::kRanks) return false;
  page_name_ = fmt::format("/elbow-beats-{}-{}", getuid(), place->job);
  page_ = HeartbeatPage::open(page_name_);
  if (!page_) return false;
  heartbeat_ = &page_->slot(place->rank);
  heartbeat_->join();
  return start_guard(page_, place->rank, find_launcher()) > 0;
}

void MpiSession::watch(const WatchRules& rules) {
  if (heartbeat_ != nullptr) heartbeat_->watch(rules);
}

void MpiSession::learn_the_world() {
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  if (const auto mistake = launch_mistake(process_environment, size_); !mistake.empty()) {
    throw Error(mistake);
  }
  fault_tolerant_ = ulfm::enabled();

  MPI_Comm local = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local),
        "MPI_Comm_split_type");
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  MPI_Barrier(local);  // all of this host have opened the page
  if (page_ && local_rank_ == 0) HeartbeatPage::forget(page_name_);
  MPI_Comm_free(&local);

  std::string mine = this_host();
  mine.resize(kHostBytes, '\0');
  std::string all(kHostBytes * size_, '\0');
  check(MPI_Allgather(mine.data(), kHostBytes, MPI_BYTE, all.data(), kHostBytes, MPI_BYTE,
                      MPI_COMM_WORLD),
        "MPI_Allgather");
  for (int rank = 0; rank < size_; ++rank) {
    const char* host = all.data() + rank * kHostBytes;
    hosts_.emplace_back(host, strnlen(host, kHostBytes));
  }
  if (fault_tolerant_ && size_ > 1 && detects_lost_hosts(process_environment))
    pulse_ = std::make_unique<MpiPulse>();
}

MpiSession::~MpiSession() {
  if (closed_) return;
  if (size_ > 1) {
    fmt::print(stderr, "elbow: rank {} on {} leaves while others go on, so the job ends\n", rank_,
               hosts_.at(rank_));
    abort(1);
  }
  MPI_Finalize();
}

void MpiSession::close(int exit_code, std::chrono::milliseconds patience) {
  if (closed_) return;
  std::fflush(nullptr);
  // All leave in the same way, though only some may have met a lost peer.
  if (fault_tolerant_) {
    healthy_ = ulfm::agree(MPI_COMM_WORLD, healthy_ && ulfm::failed_ranks(MPI_COMM_WORLD).empty());
  } else {
    check(MPI_Barrier(MPI_COMM_WORLD), "the barrier before leaving");
  }
  closed_ = true;
  pulse_.reset();
  if (!healthy_) return;
  const Deadline deadline(
      patience, exit_code,
      fmt::format("rank {} on {} has done its work and leaves after {} without the others: one was "
                  "lost while all were leaving",
                  rank_, hosts_.at(rank_), in_seconds(patience)));
  MPI_Finalize();
}

void MpiSession::abort(int exit_code) {
  std::fflush(nullptr);
  if (size_ > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
  _exit(exit_code);
}

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

std::string mpi_thread_level() {
  int level = MPI_THREAD_SINGLE;
  MPI_Query_thread(&level);
  switch (level) {
    case MPI_THREAD_MULTIPLE:
      return "MPI_THREAD_MULTIPLE";
    case MPI_THREAD_SERIALIZED:
      return "MPI_THREAD_SERIALIZED";
    case MPI_THREAD_FUNNELED:
      return "MPI_THREAD_FUNNELED";
    default:
      return "MPI_THREAD_SINGLE";
  }
}

}  // namespace elbow::comm
