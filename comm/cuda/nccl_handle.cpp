#include "comm/cuda/nccl_handle.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <thread>

#include "comm/error.h"

namespace elbow::comm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInitLimit = std::chrono::seconds(120);
constexpr auto kEnqueueLimit = std::chrono::seconds(60);
constexpr auto kFinishLimit = std::chrono::seconds(10);
constexpr auto kAbortLimit = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::microseconds(100);

}  // namespace

std::string nccl_text(ncclResult_t result) {
  return fmt::format("NCCL says '{}' ({})", ncclGetErrorString(result), ncclGetLastError(nullptr));
}

NcclHandle::NcclHandle(const ncclUniqueId& id, int rank, int size) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclResult_t result = ncclCommInitRankConfig(&comm_, size, id, rank, &config);
  if (result == ncclSuccess || result == ncclInProgress) result = settle(kInitLimit);
  if (result == ncclSuccess) return;
  const std::string text = nccl_text(result);
  abort();
  throw Error(fmt::format("rank {} of {} could not join the NCCL group: {}", rank, size, text));
}

NcclHandle::~NcclHandle() {
  if (!aborted_ && !finish()) abort();
}

void NcclHandle::run(const char* operation,
                     const std::function<ncclResult_t(ncclComm_t)>& enqueue) {
  const std::lock_guard lock(mutex_);
  if (aborted_) throw Error(fmt::format("{}: the NCCL group was aborted", operation));
  ncclResult_t result = enqueue(comm_);
  if (result == ncclInProgress) result = settle(kEnqueueLimit);
  if (result != ncclSuccess) throw Error(fmt::format("{}: {}", operation, nccl_text(result)));
}

bool NcclHandle::failed() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || aborted_) return aborted_;
  ncclResult_t state = ncclSuccess;
  const ncclResult_t result = ncclCommGetAsyncError(comm_, &state);
  return result != ncclSuccess || (state != ncclSuccess && state != ncclInProgress);
}

// Waits while NCCL works on the last call. ncclInProgress if the limit passed.
ncclResult_t NcclHandle::settle(std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  ncclResult_t state = ncclInProgress;
  while (state == ncclInProgress && !aborted_) {
    const ncclResult_t result = ncclCommGetAsyncError(comm_, &state);
    if (result != ncclSuccess) return result;
    if (state != ncclInProgress || Clock::now() > deadline) break;
    std::this_thread::sleep_for(kPoll);
  }
  return state;
}

// Waits until this rank's work is done and lets go of the group; false if that does not come to an
// end.
bool NcclHandle::finish() {
  const std::lock_guard lock(mutex_);
  if (comm_ == nullptr) return true;
  ncclResult_t result = ncclCommFinalize(comm_);
  if (result == ncclInProgress) result = settle(kFinishLimit);
  if (result != ncclSuccess) return false;
  return ncclCommDestroy(comm_) == ncclSuccess;
}

void NcclHandle::abort() {
  if (aborted_.exchange(true) || comm_ == nullptr) return;
  // Not under the mutex: whoever holds it may be waiting for exactly this. settle() sees aborted_
  // and lets go.
  auto task = std::make_shared<std::packaged_task<ncclResult_t()>>(
      [comm = comm_] { return ncclCommAbort(comm); });
  auto ended = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  if (ended.wait_for(kAbortLimit) != std::future_status::ready) {
    std::fputs("elbow: ncclCommAbort did not return in 10 s; the NCCL group is left as it is\n",
               stderr);
  }
}

}  // namespace elbow::comm
