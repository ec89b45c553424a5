#include "comm/mpi_pulse.h"

#include <mpi.h>

#include <chrono>

namespace elbow::comm {
namespace {

constexpr std::chrono::milliseconds kPause{250};

}  // namespace

MpiPulse::MpiPulse()
    : thread_([this] {
        std::unique_lock lock(mutex_);
        while (!ended_.wait_for(lock, kPause, [this] { return end_; })) {
          int arrived = 0;  // a probe makes progress
          MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &arrived, MPI_STATUS_IGNORE);
        }
      }) {}

MpiPulse::~MpiPulse() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace elbow::comm
