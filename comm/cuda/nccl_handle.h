// One ncclComm_t: made without blocking, polled, and ended for certain. Knows nothing of MPI and of
// tensors.
//
// NCCL has no watchdog: a collective whose peer is dead runs for ever, and so does whoever
// synchronises with it. abort() ends it. It may hang itself, so it runs on a helper thread with a
// deadline; a handle whose abort did not return is leaked.
//
// Threads: run() by one thread at a time; abort(), aborted() and failed() by any.
#pragma once

#include <nccl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

namespace elbow::comm {

class NcclHandle {
 public:
  // Every rank calls it, with rank 0's id and its GPU as current device. Throws comm::Error after a
  // deadline.
  NcclHandle(const ncclUniqueId& id, int rank, int size);
  ~NcclHandle();  // finish(), and abort() if that fails
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  // Calls `enqueue` and waits until NCCL has taken the work, which is not until it is done. Throws
  // comm::Error.
  void run(const char* operation, const std::function<ncclResult_t(ncclComm_t)>& enqueue);

  bool failed();  // NCCL has noticed an error of its own; cheap
  void abort();
  bool aborted() const { return aborted_; }

 private:
  ncclResult_t settle(std::chrono::milliseconds limit);
  bool finish();

  std::mutex mutex_;  // around NCCL's calls, none of which blocks
  ncclComm_t comm_ = nullptr;
  std::atomic<bool> aborted_ = false;
};

// What NCCL says about `result`, for an error sentence.
std::string nccl_text(ncclResult_t result);

}  // namespace elbow::comm
