#include "comm/mpi_pulse.h"

#include <mpi.h>

#include <chrono>

namespace elbow::comm {
namespace {

constexpr std::chrono::milliseconds kPause{250};

}  // namespace

std::atomic<int> MpiPulse::quiet_{0};
std::atomic<bool> MpiPulse::beating_{false};

// Each side first says that it comes, then looks for the other.
MpiPulse::Quiet::Quiet() {
  quiet_.fetch_add(1);
  while (beating_) std::this_thread::yield();
}

void MpiPulse::beat() {
  beating_ = true;
  if (quiet_ == 0) {
    int arrived = 0;  // a probe makes progress
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &arrived, MPI_STATUS_IGNORE);
  }
  beating_ = false;
}

MpiPulse::MpiPulse()
    : thread_([this](const std::stop_token& ended) {
        std::unique_lock lock(mutex_);
        while (true) {
          ended_.wait_for(lock, ended, kPause, [] { return false; });
          if (ended.stop_requested()) return;
          beat();
        }
      }) {}

}  // namespace elbow::comm
